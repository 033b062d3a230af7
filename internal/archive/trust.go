package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// othersMayWrite are permission bits that a file for making images must not have.
const othersMayWrite = 0o022

// TrustedDir opens a directory, and creates it if it does not exist. Only this process's user may be able to put files into
// it: it must be a directory and not a symbolic link, belong to that user, and not be writable by others.
func TrustedDir(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	dir, err := open(unix.AT_FDCWD, path, path, unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOTDIR) {
		err = fmt.Errorf("%s is a symbolic link, or not a directory", path)
	}
	if err != nil {
		return nil, err
	}
	return trusted(dir, fs.ModeDir)
}

// TrustedFile opens a file in a directory that TrustedDir has opened. It must be a regular file with one name, belong to
// this process's user, and not be writable by others. If the file does not exist, the error is fs.ErrNotExist.
func TrustedFile(dir *os.File, name string) (*os.File, error) {
	path := filepath.Join(dir.Name(), name)
	f, err := open(int(dir.Fd()), name, path, unix.O_NONBLOCK|unix.O_NOCTTY)
	if errors.Is(err, unix.ELOOP) {
		err = fmt.Errorf("%s is a symbolic link", path)
	}
	if err != nil {
		return nil, err
	}
	return trusted(f, 0)
}

func open(dir int, name, path string, flags int) (*os.File, error) {
	fd, err := unix.Openat(dir, name, flags|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// trusted returns f if it can be trusted. Otherwise it closes f and returns an error.
func trusted(f *os.File, kind fs.FileMode) (*os.File, error) {
	err := checkTrust(f, kind)
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkTrust(f *os.File, kind fs.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	switch {
	case info.Mode().Type() != kind:
		return fmt.Errorf("%s is not a directory or a regular file", f.Name())
	case st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("%s belongs to user %d: must belong to user %d", f.Name(), st.Uid, os.Geteuid())
	case info.Mode().Perm()&othersMayWrite != 0:
		return fmt.Errorf("%s is writable by others (mode %04o): run chmod go-w %[1]s", f.Name(), info.Mode().Perm())
	case kind == 0 && st.Nlink != 1:
		return fmt.Errorf("%s has %d names (hard links): must have one", f.Name(), st.Nlink)
	}
	return nil
}

// Lock waits until it has the lock of a file, or until ctx ends. It creates the file if it does not exist.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("cannot lock %s: another process holds it: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}
