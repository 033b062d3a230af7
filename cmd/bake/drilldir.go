package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// drillDirs begins the names of the drills' directories for temporary files.
const drillDirs = "hapair-drill-"

// drillDir makes a directory for everything that this drill and the programs that it runs write for a while: it becomes the
// directory for temporary files. The drill has a lock on it for as long as it lives, however it ends. Directories without
// such a lock were left by drills that were killed, and are removed first.
func drillDir() (dir string, remove func(), err error) {
	top := os.TempDir()
	sweep(top)
	for {
		if dir, err = os.MkdirTemp(top, drillDirs); err != nil {
			return "", nil, err
		}
		lock, err := lockDir(dir)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
			continue // another drill took it for a leftover before it was locked
		}
		if err == nil {
			err = os.Chmod(dir, 0o711) // apt's own user reads a keyring in it
		}
		if err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
		before, was := os.LookupEnv("TMPDIR")
		os.Setenv("TMPDIR", dir)
		return dir, func() {
			if os.Unsetenv("TMPDIR"); was {
				os.Setenv("TMPDIR", before)
			}
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}, nil
	}
}

// sweep removes what drills that were killed left in a directory. Another user may have made a directory of such a name:
// that stays.
func sweep(top string) {
	entries, _ := os.ReadDir(top)
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), drillDirs) {
			continue
		}
		dir := filepath.Join(top, e.Name())
		if lock, err := lockDir(dir); err == nil {
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}

// lockDir locks a directory of this user, unless somebody has a lock on it or it is gone. flock(2): the lock ends with the
// last descriptor, and no child gets one.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != os.Geteuid() {
			err = os.ErrPermission
		}
	}
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil { // it may have been removed before it was locked
		var now os.FileInfo
		if now, err = os.Lstat(dir); err == nil && !os.SameFile(info, now) {
			err = os.ErrNotExist
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
