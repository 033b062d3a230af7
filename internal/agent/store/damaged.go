package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
)

// ErrDamaged is wrapped by errors about a file of the store that cannot be parsed, or cannot be read because of its kind, such
// as a FIFO.
var ErrDamaged = errors.New("damaged")

// damaged is an ErrDamaged with its reason.
type damaged struct{ error }

func (d damaged) Unwrap() error        { return d.error }
func (d damaged) Is(target error) bool { return target == ErrDamaged }

// unreadable returns the error for a file of the store that could not be read.
func unreadable(what string, err error) error {
	err = fmt.Errorf("cannot read %s: %w", what, err)
	if errors.Is(err, regular.ErrUnusable) || errors.Is(err, syscall.ENOTDIR) {
		return damaged{err}
	}
	return err
}

// SetAside renames each damaged file of the store, so that an agent can start without it and nothing is lost: the last known
// good files, the journal, and records of an unfinished change. It returns one error for each renamed file, with the reason and
// the new name, and an error if it could not do its work.
func (s *Store) SetAside(now time.Time) (found []error, err error) {
	for _, f := range []struct {
		path string
		read func() error
	}{
		// The whole directory, because the next commit would remove files that it does not name.
		{s.good(), func() error { _, err := s.Goods(); return err }},
		{s.journal(), func() error { _, err := s.Changes(); return err }},
		{s.begun(), func() error { _, err := s.Begun(); return err }},
		{s.staged(), func() error { _, err := s.Staged(); return err }},
	} {
		why := f.read()
		if !errors.Is(why, ErrDamaged) {
			continue
		}
		to, err := setAside(f.path, now)
		if err != nil {
			return found, fmt.Errorf("%w; cannot set it aside: %w", why, err)
		}
		found = append(found, fmt.Errorf("%w; set aside as %s", why, to))
	}
	if found == nil {
		return nil, nil
	}
	_, err = Open(s.dir)
	return found, err
}

func setAside(path string, now time.Time) (string, error) {
	to := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format("20060102T150405.000000000Z"))
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s exists", to)
	}
	return to, durable.Rename(path, to)
}

// check returns the reason why a manifest cannot be used, or nil.
func (m *manifest) check() error {
	if m.Version != manifestVersion {
		return fmt.Errorf("it has version %d, and this agent reads version %d", m.Version, manifestVersion)
	}
	for name, g := range m.Targets {
		for _, f := range g.Files {
			if !filepath.IsAbs(f.Path) || !isDigest(f.Digest) {
				return fmt.Errorf("target %q has a file without an absolute path and a digest: %q, %q", name, f.Path, f.Digest)
			}
		}
	}
	return nil
}
