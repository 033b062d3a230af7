package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// scratch is a file without a name, beside the place where it is to appear: until it is published nothing of it can be
// seen, and whatever ends this process takes it away. Where the file system cannot do that (NFS, old overlays) it has a
// name that begins with a dot.
type scratch struct {
	*os.File
	dir  string
	name string // empty: it has none
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

// publish makes the bytes durable and puts the file under its final name, in the place of one that was there. path must
// lie in the scratch's own directory.
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

// link gives the file a name: a link cannot take the place of a file that is there, a rename can.
func (s *scratch) link(path string) error {
	name := filepath.Join(s.dir, fmt.Sprintf(".%s.%d", filepath.Base(path), os.Getpid()))
	_ = os.Remove(name) // of a process that had this number and was killed between two system calls
	from := fmt.Sprintf("/proc/self/fd/%d", s.Fd())
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return err
	}
	s.name = name
	return nil
}

// discard drops the file unless it was published.
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
