package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// scratch is an unnamed file in the directory of its final name. It is invisible until it is published, and disappears if
// this process ends. If the file system does not support that (NFS, old overlays), the file has a name that begins with a
// dot.
type scratch struct {
	*os.File
	dir  string
	name string // empty if the file has no name
}

func newScratch(dir string) (*scratch, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err == nil {
		return &scratch{File: os.NewFile(uintptr(fd), filepath.Join(dir, "(unnamed)")), dir: dir}, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return nil, fmt.Errorf("cannot write in %s: %w", dir, err)
	}
	f, err := os.CreateTemp(dir, ".hapair-*")
	if err != nil {
		return nil, fmt.Errorf("cannot write in %s: %w", dir, err)
	}
	return &scratch{File: f, dir: dir, name: f.Name()}, nil
}

// publish makes the content durable and gives the file its final name, replacing an older file. path must be in the
// scratch's directory.
func (s *scratch) publish(path string, mode os.FileMode) error {
	if err := s.Chmod(mode); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := s.Sync(); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if s.name == "" {
		if err := s.link(path); err != nil {
			return fmt.Errorf("cannot write %s: %w", path, err)
		}
	}
	if err := os.Rename(s.name, path); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	s.name = ""
	return syncDir(s.dir)
}

// link gives the file a name. A link cannot replace an existing file, so it creates a temporary name and renames it.
func (s *scratch) link(path string) error {
	name := filepath.Join(s.dir, fmt.Sprintf(".%s.%d", filepath.Base(path), os.Getpid()))
	_ = os.Remove(name) // a leftover of a process with the same ID that was killed between two system calls
	from := fmt.Sprintf("/proc/self/fd/%d", s.Fd())
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return err
	}
	s.name = name
	return nil
}

// discard removes the file unless it was published.
func (s *scratch) discard() {
	if s.name != "" {
		_ = os.Remove(s.name)
		s.name = ""
	}
	_ = s.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", dir, err)
	}
	return nil
}
