package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
)

// maxJournal is the size at which the first half of the journal is removed.
const maxJournal = 256 << 10

func (s *Store) journal() string { return filepath.Join(s.dir, "journal.jsonl") }

// Changes returns the changes in the journal, the oldest first. It skips damaged lines, such as an incomplete last line after a
// power failure.
func (s *Store) Changes() ([]journal.Change, error) {
	b, err := regular.ReadFile(s.journal(), regular.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable("the journal of changes", err)
	}
	var changes []journal.Change
	for line := range bytes.Lines(b) {
		var c journal.Change
		if json.Unmarshal(line, &c) == nil && c.Number > 0 {
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// Append adds a change that has a number to the journal.
func (s *Store) Append(c journal.Change) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.write(c)
}

func (s *Store) write(c journal.Change) error {
	line, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("cannot write the journal of changes: %w", err)
	}
	if err := s.append(append(line, '\n')); err != nil {
		return fmt.Errorf("cannot write the journal of changes: %w", err)
	}
	return nil
}

func (s *Store) append(line []byte) error {
	b, err := regular.ReadFile(s.journal(), regular.MaxState)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(b) > maxJournal {
		half := b[len(b)/2:]
		half = half[bytes.IndexByte(half, '\n')+1:]
		return durable.WriteFile(s.journal(), append(half, line...), 0o600, durable.Keep, durable.Keep)
	}
	f, err := os.OpenFile(s.journal(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if len(b) > 0 && b[len(b)-1] != '\n' {
		line = append([]byte{'\n'}, line...) // end a line that a crash left incomplete
	}
	if _, err := f.Write(line); err != nil {
		return err
	}
	return f.Sync()
}
