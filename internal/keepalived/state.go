// Package keepalived is what the project knows of a keepalived that runs: how its configuration is checked and read, and
// how it tells its state. How the configuration is written is in keepalivedconf.
package keepalived

import (
	"fmt"
	"strconv"
	"strings"
)

// State is what a vrrp_instance is, as keepalived says it.
type State string

const (
	Master State = "MASTER"
	Backup State = "BACKUP"
	Fault  State = "FAULT"
	// Stopped is the state of an instance whose keepalived has ended.
	Stopped State = "STOP"
	// Deleted is the state of an instance that a reload has taken away.
	Deleted State = "DELETED"
)

// Event is a line of the notify fifo: an instance or a group has come into a state.
type Event struct {
	Type     string // INSTANCE or GROUP
	Name     string
	State    State
	Priority int
}

// maxLine bounds a line of the fifo: an instance's name is the longest that it holds.
const maxLine = 4096

// ParseEvent reads a line of the notify fifo: INSTANCE "VI_1" MASTER 100. The states that say more than an instance's own,
// such as MASTER_RX_LOWER_PRI of `notify_master_rx_lower_pri`, are events without a change and give no error.
func ParseEvent(line string) (Event, error) {
	bad := fmt.Errorf("cannot read a line of keepalived's fifo: %.80q", line)
	line = strings.TrimSpace(line)
	if len(line) > maxLine {
		return Event{}, bad
	}
	kind, rest, ok := strings.Cut(line, " \"")
	if !ok || (kind != "INSTANCE" && kind != "GROUP") {
		return Event{}, bad
	}
	end := strings.LastIndex(rest, "\" ")
	if end < 1 {
		return Event{}, bad
	}
	e := Event{Type: kind, Name: rest[:end]}
	fields := strings.Fields(rest[end+2:])
	if len(fields) != 2 {
		return Event{}, bad
	}
	priority, err := strconv.Atoi(fields[1])
	if err != nil || priority < 0 || priority > 255 {
		return Event{}, bad
	}
	e.State, e.Priority = State(fields[0]), priority
	return e, nil
}

// Known tells whether a state is one that an instance can be in.
func (s State) Known() bool {
	switch s {
	case Master, Backup, Fault, Stopped, Deleted:
		return true
	}
	return false
}

// Events cuts what is read of the fifo into lines. A line may come in pieces, or be longer than any that keepalived
// writes: that one is dropped.
type Events struct {
	rest []byte
	skip bool
}

// Add takes the next bytes and returns the events that they complete, and an error for each line that is none.
func (s *Events) Add(b []byte) ([]Event, []error) {
	var events []Event
	var errs []error
	for _, c := range b {
		if c != '\n' {
			if len(s.rest) < maxLine {
				s.rest = append(s.rest, c)
			} else {
				s.skip = true
			}
			continue
		}
		line := string(s.rest)
		skip := s.skip
		s.rest, s.skip = s.rest[:0], false
		if skip {
			errs = append(errs, fmt.Errorf("cannot read a line of keepalived's fifo: it is longer than %d bytes", maxLine))
			continue
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if e, err := ParseEvent(line); err != nil {
			errs = append(errs, err)
		} else {
			events = append(events, e)
		}
	}
	return events, errs
}
