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

// Begun is the record of a change without a verdict: it is not known what its services run on.
type Begun struct {
	Number  int       `json:"number"`
	Time    time.Time `json:"time"`
	Targets []string  `json:"targets"`
	Back    bool      `json:"back,omitempty"` // the new files could not be proven: the last known good ones are being restored
	// Tested has the digest of the new files of each target, which have passed their test; none if Back.
	Tested map[string]string `json:"tested,omitempty"`
}

// Staged is the record of files that are being installed. If the agent dies meanwhile, all of them are removed again.
type Staged struct {
	Number int          `json:"number"`
	Files  []StagedFile `json:"files"`
}

// StagedFile is one of them, with the content of the file that it replaces, which may be secret.
type StagedFile struct {
	Path   string      `json:"path"`
	New    string      `json:"new"` // digest of the new content
	Was    bool        `json:"was"` // it replaces a file
	Digest string      `json:"digest,omitempty"`
	Mode   fs.FileMode `json:"mode"`
	UID    int         `json:"uid"`
	GID    int         `json:"gid"`
	Data   []byte      `json:"data,omitempty"`
}

// maxStaged is the largest apply.json that is read. It has the contents of all files of an apply in base64.
const maxStaged = 2 * regular.MaxConfig

func (s *Store) begun() string  { return filepath.Join(s.dir, "change.json") }
func (s *Store) staged() string { return filepath.Join(s.dir, "apply.json") }

// Begin writes the record of a change, before the first service is touched.
func (s *Store) Begin(b Begun) error { return s.put(s.begun(), b) }

// End removes the record of a change that has its verdict.
func (s *Store) End() error { return durable.Remove(s.begun()) }

// Begun returns the record of a change without a verdict, or nil.
func (s *Store) Begun() (*Begun, error) { return get[Begun](s.begun()) }

// Stage writes the record of files that are about to be installed.
func (s *Store) Stage(st Staged) error { return s.put(s.staged(), st) }

// Unstage removes it.
func (s *Store) Unstage() error { return durable.Remove(s.staged()) }

// Staged returns the record of files that were being installed, or nil.
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
		return nil, unreadable("the record of an unfinished change", err)
	}
	v := new(T)
	if err := json.Unmarshal(b, v); err != nil {
		return nil, damaged{fmt.Errorf("cannot use the record of an unfinished change: %s is damaged: %w", path, err)}
	}
	return v, nil
}
