// Package durable writes files so that a reader, or the machine after a power failure, finds either the complete old content
// or the complete new content.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Keep means that the owner or the group of a new file is not changed.
const Keep = -1

// WriteFile replaces path by data, atomically and durably: the content is on the disk before the name refers to it, and the
// name is on the disk before WriteFile returns. mode is set exactly, independent of the umask. uid and gid may be Keep. The
// owner is set before the mode, and both before the first byte, so that no other account can ever read a secret. A symbolic
// link at path is replaced, not followed.
func WriteFile(path string, data []byte, mode fs.FileMode, uid, gid int) error {
	if err := write(path, data, mode, uid, gid); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, reason(err))
	}
	return nil
}

func write(path string, data []byte, mode fs.FileMode, uid, gid int) error {
	dir := filepath.Dir(path)
	// The temporary file is in the directory of its target, because another directory, such as TMPDIR, may be readable by
	// others, and because rename does not work across file systems. Its name begins with a dot, and haproxy and keepalived
	// do not read such files.
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if uid != Keep || gid != Keep {
		if err := f.Chown(uid, gid); err != nil {
			return err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return SyncDir(dir)
}

// Rename moves a file within one file system, and returns when the move is on the disk.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("cannot rename %s to %s: %w", from, to, reason(err))
	}
	if err := SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return SyncDir(filepath.Dir(from))
}

// Remove removes a file, and returns when the removal is on the disk. It is not an error if the file does not exist.
func Remove(path string) error {
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("cannot remove %s: %w", path, reason(err))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir writes a directory's entries to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot open the directory %s: %w", dir, reason(err))
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cannot sync the directory %s: %w", dir, reason(err))
	}
	return nil
}

// reason removes the path from an os error, for messages that already contain it.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}
