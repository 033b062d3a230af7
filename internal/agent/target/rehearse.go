package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/validator"
)

// Rehearsal is the result of a test with the last known good files.
type Rehearsal struct {
	Answer validator.Answer
	Extra  []string // files that must be removed, because the test fails with them
}

// Rehearse tests a target as if the good files were already installed. It uses a mount namespace, so that other processes do
// not see them, and nothing is replaced before the result is known. Only files that do not exist are created for all processes
// while the test runs. mountpoint is any directory that the test does not need.
func Rehearse(ctx context.Context, t Target, good []store.File, mountpoint string, judge func(context.Context, Target) validator.Answer) Rehearsal {
	done := make(chan Rehearsal, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine, and the namespace with the thread.
		runtime.LockOSThread()
		r := Rehearsal{}
		err := stage(good, mountpoint, func(hide func(path string) error) error {
			if r.Answer = judge(ctx, t); r.Answer.Verdict == validator.Good {
				return nil
			}
			r.Extra = extras(t, good)
			for _, path := range r.Extra {
				if err := hide(path); err != nil {
					return err
				}
			}
			if len(r.Extra) > 0 {
				r.Answer = judge(ctx, t)
			}
			return nil
		})
		if err != nil {
			r.Answer = validator.Answer{Messages: []string{err.Error()}}
		}
		done <- r
	}()
	return <-done
}

// extras returns files that a target would read besides the good ones.
func extras(t Target, good []store.File) []string {
	var paths []string
	for _, p := range t.Paths() {
		_, err := os.Lstat(p)
		if err == nil && !slices.ContainsFunc(good, func(f store.File) bool { return f.Path == p }) {
			paths = append(paths, p)
		}
	}
	return paths
}

// stage runs test in a mount namespace of the calling thread, in which the good files are mounted over those on the disk. The
// file hide, if given, is empty for the test.
func stage(good []store.File, mountpoint string, test func(hide func(path string) error) error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make a mount namespace private: %w", err)
	}
	// A tmpfs, so that the contents are not written to another disk.
	if err := unix.Mount("tmpfs", mountpoint, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("cannot mount a tmpfs: %w", err)
	}
	n := 0
	over := func(path string, f store.File) error {
		n++
		copied := filepath.Join(mountpoint, fmt.Sprint(n))
		if err := durable.WriteFile(copied, f.Data, f.Mode, f.UID, f.GID); err != nil {
			return err
		}
		if err := unix.Mount(copied, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cannot mount over %s: %w", path, err)
		}
		return nil
	}
	for _, f := range good {
		if fi, err := os.Stat(f.Path); errors.Is(err, fs.ErrNotExist) || err == nil && fi.IsDir() {
			remove, err := fillIn(f)
			if err != nil {
				return err
			}
			defer remove()
			continue
		}
		if err := over(f.Path, f); err != nil {
			return err
		}
	}
	return test(func(path string) error {
		return over(path, store.File{Mode: 0o600, UID: durable.Keep, GID: durable.Keep})
	})
}

// fillIn creates a file at a path without one, or with a dangling link or a directory, because a file cannot be mounted over
// those.
func fillIn(f store.File) (remove func(), err error) {
	displaced, err := displace(f.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot put %s back: %w", f.Path, err)
	}
	link, linkErr := os.Readlink(f.Path)
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot put %s back: %w", f.Path, err)
	}
	if err := durable.WriteFile(f.Path, f.Data, f.Mode, f.UID, f.GID); err != nil {
		return nil, err
	}
	return func() {
		if os.Remove(f.Path) != nil {
			return
		}
		switch {
		case displaced != "":
			os.Rename(displaced, f.Path)
		case linkErr == nil:
			os.Symlink(link, f.Path)
		}
	}, nil
}

// displace renames a directory, or a link to one, and returns the new name. It returns "" if path is neither.
func displace(path string) (string, error) {
	if fi, err := os.Stat(path); err != nil || !fi.IsDir() {
		return "", nil
	}
	to := path + ".rejected-Rehearsal"
	return to, renameTo(path, to)
}
