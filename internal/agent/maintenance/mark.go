// Package maintenance takes a node out of service and back. A mark says that the node is to hold no virtual IP, now or after a
// reboot. The check only
// looks whether the file is there; the daemon takes it off when its time is over. While the daemon is dead nobody does: a
// node that stays out of service is safer than one that comes back unwatched.
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

// Mark is what the file says. One that was made by hand and says nothing holds until it is taken off.
type Mark struct {
	Since time.Time     `json:"since,omitzero"`
	Until time.Time     `json:"until,omitzero"`
	For   time.Duration `json:"for,omitempty"` // nanoseconds
}

// NewMark is a mark that begins now; with a duration of 0 it has no end.
func NewMark(now time.Time, d time.Duration) Mark {
	m := Mark{Since: now.UTC()}
	if d > 0 {
		m.Until, m.For = m.Since.Add(d), d
	}
	return m
}

// Left is how long a mark still holds, and false where it has no end. It is never more than it was at the beginning, however
// far the clock is set back.
func (m Mark) Left(now time.Time) (time.Duration, bool) {
	if m.Until.IsZero() {
		return 0, false
	}
	return min(m.Until.Sub(now), m.For), true
}

// Read reads the mark. It is nil where there is none; a file that cannot be read or understood is a mark all the same.
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

// Set makes the mark. It is on the disk when Set returns. Everybody may read it: the check runs as another account.
func Set(path string, m Mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot write the maintenance mark: %w", err)
	}
	return durable.WriteFile(path, append(b, '\n'), 0o644, durable.Keep, durable.Keep)
}

// Clear takes the mark off.
func Clear(path string) error { return durable.Remove(path) }
