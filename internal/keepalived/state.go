// Package keepalived reads keepalived's configuration, tests it, and follows the state of a running keepalived. Package
// keepalivedconf writes the configuration.
package keepalived

import (
	"fmt"
	"strconv"
	"strings"
)

// State is the state of a vrrp_instance in keepalived's words.
type State string

const (
	Master State = "MASTER"
	Backup State = "BACKUP"
	Fault  State = "FAULT"
	// Stopped is the state of an instance whose keepalived has exited.
	Stopped State = "STOP"
	// Deleted is the state of an instance that a reload has removed.
	Deleted State = "DELETED"
)

// Event is a line of the notify fifo: the new state of an instance or a group.
type Event struct {
	Type     string // INSTANCE or GROUP
	Name     string
	State    State
	Priority int
}

// maxLine is the maximum length of a line of the fifo. Its longest part is the instance's name.
const maxLine = 4096

// ParseEvent parses a line of the notify fifo: INSTANCE "VI_1" MASTER 100. For other notifications, such as MASTER_RX_LOWER_PRI
// of `notify_master_rx_lower_pri`, it returns an event without a state, and no error.
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

// Known reports whether an instance can be in a state.
func (s State) Known() bool {
	switch s {
	case Master, Backup, Fault, Stopped, Deleted:
		return true
	}
	return false
}

// Events splits the data of the fifo into lines. A line may arrive in pieces. A line that is longer than any line of keepalived
// is dropped.
type Events struct {
	rest []byte
	skip bool
}

// Add adds data, and returns the events that it completes, and an error for each invalid line.
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
