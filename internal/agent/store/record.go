package store

import (
	"fmt"
	"os"
	"syscall"

	"github.com/hapair/hapair/internal/agent/journal"
)

// Record gives a change the number after the last one, adds it to the journal, and returns the number.
func (s *Store) Record(c journal.Change) (int, error) {
	unlock, err := s.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	c.Number = s.Last() + 1
	return c.Number, s.write(c)
}

// lock excludes other processes from the journal: a guard writes to it too.
func (s *Store) lock() (unlock func(), err error) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot write the journal of changes: %w", err)
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		dir.Close()
		return nil, fmt.Errorf("cannot lock the journal of changes: %w", err)
	}
	return func() { dir.Close() }, nil
}

// Last returns the number of the last change in the journal; 0 if there is none or it cannot be read.
func (s *Store) Last() int {
	changes, err := s.Changes()
	if err != nil || len(changes) == 0 {
		return 0
	}
	return changes[len(changes)-1].Number
}
