package store

import (
	"fmt"
	"os"
	"syscall"

	"github.com/hapair/hapair/internal/agent/control"
)

// Record gives a change the number after the last one, adds it to the journal, and returns the number. Unlike Append it
// may be called by several processes at once.
func (s *Store) Record(c control.Change) (int, error) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return 0, fmt.Errorf("cannot write the journal of changes: %w", err)
	}
	defer dir.Close() // which unlocks it
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return 0, fmt.Errorf("cannot lock the journal of changes: %w", err)
	}
	c.Number = s.Last() + 1
	return c.Number, s.Append(c)
}

// Last is the number of the last change in the journal; 0 where there is none, or where it cannot be read.
func (s *Store) Last() int {
	changes, err := s.Changes()
	if err != nil || len(changes) == 0 {
		return 0
	}
	return changes[len(changes)-1].Number
}
