package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
)

// Begun is a change that services are being taken through: what they run on is not known until it has a verdict.
type Begun struct {
	Number  int       `json:"number"`
	Time    time.Time `json:"time"`
	Targets []string  `json:"targets"`
	Back    bool      `json:"back,omitempty"` // it did not prove: the last known good files are being put back
}

// Staged is a set of files that is being put in its places: none of them stays if the agent dies over it.
type Staged struct {
	Number int          `json:"number"`
	Files  []StagedFile `json:"files"`
}

// StagedFile is one of them, as it was before. Its bytes may be secret.
type StagedFile struct {
	Path   string      `json:"path"`
	New    string      `json:"new"` // digest of what is put there
	Was    bool        `json:"was"` // there was a file
	Digest string      `json:"digest,omitempty"`
	Mode   fs.FileMode `json:"mode"`
	UID    int         `json:"uid"`
	GID    int         `json:"gid"`
	Data   []byte      `json:"data,omitempty"`
}

// maxStaged limits what is read of apply.json, which holds the bytes of all files of an apply in base64.
const maxStaged = 2 * regular.MaxConfig

func (s *Store) begun() string  { return filepath.Join(s.dir, "change.json") }
func (s *Store) staged() string { return filepath.Join(s.dir, "apply.json") }

// Begin writes down that a change begins, before the first service is touched.
func (s *Store) Begin(b Begun) error { return s.put(s.begun(), b) }

// End forgets the change that was begun: it has its verdict.
func (s *Store) End() error { return durable.Remove(s.begun()) }

// Begun is the change that was begun and has not ended, or nil.
func (s *Store) Begun() (*Begun, error) { return get[Begun](s.begun()) }

// Stage writes down what is about to be put in its places.
func (s *Store) Stage(st Staged) error { return s.put(s.staged(), st) }

// Unstage forgets it.
func (s *Store) Unstage() error { return durable.Remove(s.staged()) }

// Staged is what was staged, or nil.
func (s *Store) Staged() (*Staged, error) { return get[Staged](s.staged()) }

func (s *Store) put(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return durable.WriteFile(path, append(b, '\n'), 0o600, durable.Keep, durable.Keep)
}

func get[T any](path string) (*T, error) {
	b, err := regular.ReadFile(path, maxStaged)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable("what the agent was about to do", err)
	}
	v := new(T)
	if err := json.Unmarshal(b, v); err != nil {
		return nil, damaged{fmt.Errorf("cannot use what the agent was about to do: %s is damaged: %w", path, err)}
	}
	return v, nil
}
