package haproxy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Worker is a worker process in the master's list.
type Worker struct {
	PID     int
	Reloads int // reloads since this worker started, including failed ones: 0 for a worker of the last reload
}

// Procs is the answer to `show proc` on the master socket.
type Procs struct {
	Master  int // process ID
	Reloads int // since the master started, including failed ones
	// Failed is the number of failed reloads since the last successful one. It is -1 if haproxy does not report it (before
	// 2.5).
	Failed     int
	Workers    []Worker // accept connections
	OldWorkers []Worker // only finish their connections
	Version    string   // of the master
}

// Worker returns the worker that was started last and accepts connections.
func (p Procs) Worker() (Worker, bool) {
	var best Worker
	for i, w := range p.Workers {
		if i == 0 || w.Reloads < best.Reloads {
			best = w
		}
	}
	return best, len(p.Workers) > 0
}

// ShowProc returns the master's list of processes. During a reload the master executes itself again, and the socket refuses
// connections for some milliseconds: the caller must try again.
func (s Socket) ShowProc(ctx context.Context) (Procs, error) {
	answer, err := s.Ask(ctx, "show proc")
	if err != nil {
		return Procs{}, err
	}
	return ParseShowProc(answer)
}

// StartupLogs returns the messages of the last start or reload; "" before haproxy 2.7, which does not keep them.
func (s Socket) StartupLogs(ctx context.Context) (string, error) {
	answer, err := s.Ask(ctx, "show startup-logs")
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(answer, "Unknown command") {
		return "", nil
	}
	return strings.TrimSpace(answer), nil
}

// ParseShowProc parses the answer to `show proc`: a table of PID, type, reloads, uptime and version, with a heading before each
// group. haproxy 2.4 has a column for the relative PID between type and reloads, and no workers, only old workers, after a
// failed reload.
func ParseShowProc(answer string) (Procs, error) {
	p := Procs{Failed: -1}
	relative, old := false, false
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#<PID>"):
			relative = strings.Contains(line, "<relative PID>")
			continue
		case strings.HasPrefix(line, "# old workers"):
			old = true
			continue
		case strings.HasPrefix(line, "#"):
			old = false
			continue
		case line == "":
			continue
		}
		if err := p.add(line, relative, old); err != nil {
			return Procs{}, err
		}
	}
	if p.Master == 0 {
		return Procs{}, fmt.Errorf("cannot read haproxy's processes: its answer has no master: %.80q", answer)
	}
	return p, nil
}

// add parses one process.
func (p *Procs) add(line string, relative, old bool) error {
	failed := -1
	if before, after, ok := strings.Cut(line, "[failed:"); ok {
		count, rest, _ := strings.Cut(after, "]")
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil || n < 0 {
			return fmt.Errorf("cannot read haproxy's processes: no count of failures in %.80q", line)
		}
		failed, line = n, before+rest
	}
	if before, after, ok := strings.Cut(line, "[was:"); ok { // the relative PID of an old worker
		_, rest, _ := strings.Cut(after, "]")
		line = before + " 0 " + rest
	}
	fields := strings.Fields(line)
	reloads := 2
	if relative && len(fields) > 2 {
		reloads = 3
	}
	if len(fields) <= reloads {
		return fmt.Errorf("cannot read haproxy's processes: %.80q is too short", line)
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil || pid <= 0 {
		return fmt.Errorf("cannot read haproxy's processes: no process id in %.80q", line)
	}
	n, err := strconv.Atoi(fields[reloads])
	if err != nil || n < 0 {
		return fmt.Errorf("cannot read haproxy's processes: no count of reloads in %.80q", line)
	}
	switch {
	case fields[1] == "master":
		p.Master, p.Reloads, p.Failed = pid, n, failed
		p.Version = fields[len(fields)-1]
	case fields[1] == "worker" && old:
		p.OldWorkers = append(p.OldWorkers, Worker{pid, n})
	case fields[1] == "worker":
		p.Workers = append(p.Workers, Worker{pid, n})
	}
	return nil
}
