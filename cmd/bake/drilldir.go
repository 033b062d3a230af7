package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// drillDirs is the prefix of the names of the drills' directories for temporary files.
const drillDirs = "hapair-drill-"

// drillDir creates a directory for all temporary files of this drill and of the programs that it runs, and sets TMPDIR to
// it. The drill holds a lock on the directory until it ends, in whatever way. drillDir first removes directories without
// such a lock, which killed drills have left.
func drillDir() (dir string, remove func(), err error) {
	top := os.TempDir()
	sweep(top)
	for {
		if dir, err = os.MkdirTemp(top, drillDirs); err != nil {
			return "", nil, err
		}
		lock, err := lockDir(dir)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
			continue // another drill removed it as a leftover before it was locked
		}
		if err == nil {
			err = os.Chmod(dir, 0o711) // apt's own user must read a keyring in it
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

// sweep removes from a directory what killed drills have left. It keeps directories of other users, even if they have such a
// name.
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

// lockDir locks a directory of this user. It fails if another process holds a lock on the directory, or if the directory is
// gone. The lock (flock(2)) ends when its last descriptor is closed; child processes do not inherit the descriptor.
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
	if err == nil { // another process may have removed it before it was locked
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
