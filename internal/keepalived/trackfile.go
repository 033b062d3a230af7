package keepalived

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// WriteTrackFile overwrites a track file with a number of the same length, so that a reader finds the old number or the new
// one. Anything but a regular file, such as a FIFO, is replaced, because keepalived would block on it.
func WriteTrackFile(file, word string) error {
	if fi, err := os.Stat(file); err == nil && !fi.Mode().IsRegular() {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(word), 0)
	return errors.Join(err, f.Truncate(int64(len(word))), f.Close())
}
