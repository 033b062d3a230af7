package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// SetAside gives a file a second name beside it, with the reason and the time. The first name always exists: a write by rename
// replaces it. The second name does not match patterns such as *.conf and *.pem. A directory cannot have two names, so it is
// renamed.
func SetAside(path string, now time.Time, why string) (string, error) {
	aside := fmt.Sprintf("%s.rejected-%s-%s", path, now.UTC().Format("20060102T150405Z"), why)
	name := os.Link
	if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
		name = renameTo
	}
	err := name(path, aside)
	if errors.Is(err, fs.ErrExist) {
		aside += fmt.Sprintf("-%d", now.Nanosecond())
		err = name(path, aside)
	}
	if err != nil {
		return "", fmt.Errorf("cannot set a file aside: %w", err)
	}
	return aside, nil
}

// renameTo is like os.Rename, but replaces nothing, not even an empty directory.
func renameTo(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}
