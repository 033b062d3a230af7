package haproxy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Info is part of a worker's answer to `show info`.
type Info struct {
	PID      int // of the worker that answered
	Version  string
	Uptime   time.Duration // of that worker, in whole seconds
	Stopping bool          // the worker finishes its connections and accepts no new ones
}

// ShowInfo returns the answer of the worker that serves the socket. It waits until ctx ends: give it a deadline.
func (s Socket) ShowInfo(ctx context.Context) (Info, error) {
	answer, err := s.Ask(ctx, "show info")
	if err != nil {
		return Info{}, err
	}
	return ParseInfo(answer)
}

// WorkerInfo returns the answer of one worker. The socket must be the master's, which forwards the command.
func (s Socket) WorkerInfo(ctx context.Context, pid int) (Info, error) {
	answer, err := s.Ask(ctx, fmt.Sprintf("@!%d show info", pid))
	if err != nil {
		return Info{}, err
	}
	return ParseInfo(answer)
}

// ParseInfo parses the answer to `show info`: lines of "Name: value". An answer without a process ID is an error.
func ParseInfo(answer string) (Info, error) {
	var info Info
	for line := range strings.Lines(answer) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		switch name {
		case "Pid":
			info.PID, _ = strconv.Atoi(value)
		case "Version":
			info.Version = value
		case "Uptime_sec":
			s, _ := strconv.ParseUint(value, 10, 31)
			info.Uptime = time.Duration(s) * time.Second
		case "Stopping":
			// haproxy 3.x gives the time since it began to stop, older versions give 1.
			info.Stopping = value != "0"
		}
	}
	if info.PID <= 0 {
		return Info{}, fmt.Errorf("haproxy's answer has no process ID: %.80q", answer)
	}
	return info, nil
}
