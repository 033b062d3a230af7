package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// Server is a server as haproxy's statistics show it.
type Server struct {
	Proxy string
	Name  string
	// Status is haproxy's word: UP, "UP 1/2" (some checks failed), DOWN, MAINT, "MAINT (resolution)", DRAIN, NOLB, "no check".
	Status string
	// Check is the result of the last check: L4OK, L7STS, …; INI if there was none since haproxy started; empty if the server
	// is not checked.
	Check string
}

// Up reports whether haproxy sends requests to the server.
func (s *Server) Up() bool {
	return s.Status == "no check" || s.Status == "UP" || strings.HasPrefix(s.Status, "UP ")
}

// Checked reports whether a check of the server has ended since haproxy started. After a reload this holds only if the saved
// state has no results of checks: SaveState removes them.
func (s *Server) Checked() bool {
	return s.Check != "" && s.Check != "INI" && s.Check != "UNK"
}

// CheckPassed reports whether the last check succeeded.
func (s *Server) CheckPassed() bool {
	return strings.HasSuffix(s.Check, "OK") || s.Check == "L7OKC" // 404, with http-check disable-on-404
}

// Administrative reports whether an operator took the server out, in the configuration or at run time.
func (s *Server) Administrative() bool {
	return s.Status == "DRAIN" || s.Status == "MAINT" || strings.HasPrefix(s.Status, "MAINT (via")
}

// WorkerServers returns the servers of a proxy, as one worker has them. The socket must be the master's, which forwards the
// command. A proxy that the worker does not have has no servers.
func (s Socket) WorkerServers(ctx context.Context, pid int, proxy string) ([]Server, error) {
	answer, err := s.Ask(ctx, fmt.Sprintf("@!%d show stat %s 4 -1", pid, proxy)) // 4: servers only
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(answer, "No such proxy") {
		return nil, nil
	}
	return ParseServers(answer)
}

// ParseServers parses the answer to `show stat`: CSV whose first line names the columns.
func ParseServers(answer string) ([]Server, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# ")))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("cannot read haproxy's statistics: %w", err)
	}
	column := map[string]int{}
	for i, name := range head {
		column[name] = i
	}
	for _, name := range []string{"pxname", "svname", "status", "check_status"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("cannot read haproxy's statistics: there is no column %q in %.80q", name, answer)
		}
	}
	var all []Server
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil || len(row) <= column["check_status"] {
			return nil, fmt.Errorf("cannot read haproxy's statistics: a line is too short, or not CSV: %v", err)
		}
		if name := row[column["svname"]]; name != "BACKEND" && name != "FRONTEND" {
			all = append(all, Server{Proxy: row[column["pxname"]], Name: name, Status: row[column["status"]],
				Check: strings.TrimPrefix(row[column["check_status"]], "* ")}) // "* ": a check is in progress
		}
	}
}

// Backends returns the lines of each backend and listen section of a configuration, with those of the defaults section that
// applies to it, by name. Comments, empty lines and the amount of white space do not count.
func Backends(conf string) map[string]string {
	sections := map[string]*strings.Builder{}
	var defaults strings.Builder
	name, inDefaults := "", false
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		switch f[0] {
		case "defaults":
			defaults.Reset()
			name, inDefaults = "", true
			continue
		case "backend", "listen":
			inDefaults = false
			if name = ""; len(f) > 1 {
				name = f[1]
				sections[name] = &strings.Builder{}
				sections[name].WriteString(defaults.String())
			}
			continue
		}
		if syntax.IsSection(f[0]) {
			name, inDefaults = "", false
			continue
		}
		text := strings.Join(f, " ") + "\n"
		switch {
		case inDefaults:
			defaults.WriteString(text)
		case name != "":
			sections[name].WriteString(text)
		}
	}
	all := map[string]string{}
	for name, lines := range sections {
		all[name] = lines.String()
	}
	return all
}
