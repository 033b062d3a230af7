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
	changes, err := s.Changes()
	if err != nil {
		return 0, err
	}
	c.Number = 1
	if n := len(changes); n > 0 {
		c.Number = changes[n-1].Number + 1
	}
	return c.Number, s.Append(c)
}
