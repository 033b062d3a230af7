// Package maintenance takes a node out of service and back. The mark is a file which means that the node must hold no virtual
// IP, now or after a reboot. The check only looks whether the file exists. The daemon removes it when its time is over. If the
// daemon is dead, the node stays out of service, which is safer than a return without supervision.
package maintenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
)

// Mark is the content of the file. An empty file, made by hand, has no end.
type Mark struct {
	Since time.Time     `json:"since,omitzero"`
	Until time.Time     `json:"until,omitzero"`
	For   time.Duration `json:"for,omitempty"` // nanoseconds
}

// NewMark returns a mark that begins now; with a duration of 0 it has no end.
func NewMark(now time.Time, d time.Duration) Mark {
	m := Mark{Since: now.UTC()}
	if d > 0 {
		m.Until, m.For = m.Since.Add(d), d
	}
	return m
}

// Left returns the remaining time of a mark, and false if it has no end. It is never more than the whole duration, even if the
// clock was set back.
func (m Mark) Left(now time.Time) (time.Duration, bool) {
	if m.Until.IsZero() {
		return 0, false
	}
	return min(m.Until.Sub(now), m.For), true
}

// Read reads the mark. It is nil if there is no file. A file that cannot be read or parsed counts as a mark without an end.
func Read(path string) (*Mark, error) {
	b, err := regular.ReadFile(path, regular.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return &Mark{}, fmt.Errorf("cannot read the maintenance mark: %w", err)
	}
	var m Mark
	if json.Unmarshal(b, &m) != nil {
		return &Mark{}, nil
	}
	return &m, nil
}

// Set writes the mark durably. All users may read it, because the check runs as another user.
func Set(path string, m Mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot write the maintenance mark: %w", err)
	}
	return durable.WriteFile(path, append(b, '\n'), 0o644, durable.Keep, durable.Keep)
}

// Clear removes the mark.
func Clear(path string) error { return durable.Remove(path) }
