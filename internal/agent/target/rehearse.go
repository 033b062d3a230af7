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

// Rehearsal is how a test ended with the last known good files in their places.
type Rehearsal struct {
	Answer validator.Answer
	Extra  []string // files that have to go, because the test fails with them
}

// Rehearse tests a target as if the good files lay in their places already: in a mount namespace of its own, so that
// nobody else sees them, and nothing is replaced before it is known to be of use. Only what is missing altogether is there
// for everybody while the test runs. mountpoint is any directory that the test does not need.
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

// extras are files that a target would read besides the good ones.
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

// stage runs test in a mount namespace of the calling thread, where good files lie over what is on the disk. With hide, a
// file is empty for the test.
func stage(good []store.File, mountpoint string, test func(hide func(path string) error) error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make a mount namespace private: %w", err)
	}
	// Memory, so that no bytes come to lie where they do not belong.
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

// fillIn makes a file where none is, only a link that leads nowhere, or a directory, over which no file can be mounted.
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

// displace gives a directory, or a link to one, another name, which it returns. It returns "" if path is neither.
func displace(path string) (string, error) {
	if fi, err := os.Stat(path); err != nil || !fi.IsDir() {
		return "", nil
	}
	to := path + ".rejected-Rehearsal"
	return to, renameTo(path, to)
}
