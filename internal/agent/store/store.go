// Package store keeps /var/lib/ha-agent: the last known good files of each target, and the journal of changes.
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
)

// File is a file of a target when it was proven.
type File struct {
	Path   string      `json:"path"`
	Digest string      `json:"digest"` // SHA-256, hexadecimal: the content is in good/DIGEST
	Mode   fs.FileMode `json:"mode"`   // permission bits
	UID    int         `json:"uid"`
	GID    int         `json:"gid"`
	// Data is the content, if it was read. It is not part of the manifest, which holds no secrets.
	Data []byte `json:"-"`
}

// Good is the last known good state of a target.
type Good struct {
	Generation int       `json:"generation"` // the number of the change in which it was proven
	Time       time.Time `json:"time"`
	Files      []File    `json:"files"`
}

// manifest is good/manifest.json. It alone defines the good files, so one rename commits all targets of a change, or none.
type manifest struct {
	Version int             `json:"version"`
	Targets map[string]Good `json:"targets"`
}

const manifestVersion = 1

// Store is the directory.
type Store struct{ dir string }

// Open opens the store in dir, and creates it if it does not exist.
func Open(dir string) (*Store, error) {
	s := &Store{dir}
	// The check runs as another user and looks for the maintenance mark in dir. Only root may read the good files.
	for _, d := range []struct {
		path string
		mode fs.FileMode
	}{{dir, 0o711}, {s.good(), 0o700}} {
		if err := os.Mkdir(d.path, d.mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("cannot make the agent's store: %w", err)
		}
	}
	return s, nil
}

// At returns the store in dir, for reading only.
func At(dir string) *Store { return &Store{dir} }

func (s *Store) good(names ...string) string {
	return filepath.Join(append([]string{s.dir, "good"}, names...)...)
}

// Digest returns the name of a content.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Goods returns the last known good states of all targets, without the contents. A new store has none.
func (s *Store) Goods() (map[string]Good, error) {
	b, err := regular.ReadFile(s.good("manifest.json"), regular.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Good{}, nil
	}
	if err != nil {
		return nil, unreadable("the last known good state", err)
	}
	var m manifest
	err = json.Unmarshal(b, &m)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return nil, damaged{fmt.Errorf("cannot use the last known good state: %s is damaged: %w", s.good("manifest.json"), err)}
	}
	if m.Targets == nil {
		m.Targets = map[string]Good{}
	}
	return m.Targets, nil
}

// Fill reads the contents of a good state, and checks their digests.
func (s *Store) Fill(g Good) (Good, error) {
	filled := Good{g.Generation, g.Time, make([]File, len(g.Files))}
	for i, f := range g.Files {
		if !isDigest(f.Digest) {
			return Good{}, fmt.Errorf("cannot read the last known good %s: %q is not a digest", f.Path, f.Digest)
		}
		b, err := regular.ReadFile(s.good(f.Digest), regular.MaxConfig)
		if err != nil {
			return Good{}, fmt.Errorf("cannot read the last known good %s: %w", f.Path, err)
		}
		if Digest(b) != f.Digest {
			return Good{}, fmt.Errorf("cannot use the last known good %s: its bytes are damaged", f.Path)
		}
		f.Data = b
		filled.Files[i] = f
	}
	return filled, nil
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// Commit makes states of targets the last known good ones, all or none. It writes the contents, then the manifest that names
// them, and then removes contents that are no longer named.
func (s *Store) Commit(states map[string]Good) error {
	targets, err := s.Goods()
	if err != nil {
		return err
	}
	for name, g := range states {
		for _, f := range g.Files {
			if _, err := os.Lstat(s.good(f.Digest)); err == nil {
				continue // the content is there already; Fill checks it
			}
			if err := durable.WriteFile(s.good(f.Digest), f.Data, 0o600, durable.Keep, durable.Keep); err != nil {
				return err
			}
		}
		targets[name] = g
	}
	b, err := json.MarshalIndent(manifest{manifestVersion, targets}, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the last known good state: %w", err)
	}
	if err := durable.WriteFile(s.good("manifest.json"), append(b, '\n'), 0o600, durable.Keep, durable.Keep); err != nil {
		return err
	}
	s.sweep(targets)
	return nil
}

// sweep removes contents that no target names. A failed removal is tried again at the next commit.
func (s *Store) sweep(targets map[string]Good) {
	named := map[string]bool{}
	for _, g := range targets {
		for _, f := range g.Files {
			named[f.Digest] = true
		}
	}
	entries, err := os.ReadDir(s.good())
	if err != nil {
		return
	}
	for _, e := range entries {
		if isDigest(e.Name()) && !named[e.Name()] {
			os.Remove(s.good(e.Name()))
		}
	}
}
