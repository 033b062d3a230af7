package trial

import (
	"crypto/rand"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// A disk may fill up during a trial. The reserve is a file that is removed when that happens, so that there is room for the way
// back and for the note of how the trial ended.
const (
	reserveFile = "reserve"
	reserveSize = 1 << 20 // bytes, besides the files that the way back writes
)

// keepRoom writes the reserve of a trial.
func (s *Store) keepRoom(to revision.Content) error {
	size := int64(reserveSize)
	for path := range replaced(to) {
		if fi, err := os.Stat(path); err == nil {
			size += fi.Size()
		}
	}
	data := make([]byte, size)
	rand.Read(data) // a file system may compress zeros; it never fails: crypto/rand
	return durable.WriteFile(s.path(reserveFile), data, 0o600, durable.Keep, durable.Keep)
}

// replaced returns the paths of the files that a content replaces, including the agent if its program differs.
func replaced(to revision.Content) map[string]bool {
	all := map[string]bool{}
	for _, f := range to.Files {
		if d, err := differs(f); err != nil || d != same {
			all[f.Path] = true
		}
	}
	if now, err := fileDigest(wellknown.Agent); err == nil && to.Agent != "" && now != to.Agent {
		all[wellknown.Agent] = true
	}
	return all
}

// useRoom gives the reserve away, and reports whether there was one.
func (s *Store) useRoom() bool { return os.Remove(s.path(reserveFile)) == nil }

// inReserve runs write, which notes how a trial goes on, again with the reserve if the disk is full.
func (s *Store) inReserve(write func() error) error {
	err := write()
	if errors.Is(err, unix.ENOSPC) && s.useRoom() {
		return write()
	}
	return err
}
