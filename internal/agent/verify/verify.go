// Package verify tells, step by step, whether a machine is what a load balancer must be: as an image that no node has been
// made of, or as a running node.
package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/termsafe"
	"github.com/hapair/hapair/internal/tool"
)

// Result is one step and whether it holds.
type Result struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`  // what was found, where it holds
	Why    string `json:"why,omitempty"`     // what was found instead
	WayOut string `json:"way_out,omitempty"` // what to do
	// Warning is what an operator should know of a step that holds.
	Warning string `json:"warning,omitempty"`
}

// Results are all steps, in their order.
type Results []Result

// OK tells whether every step holds.
func (rs Results) OK() bool {
	for _, r := range rs {
		if !r.OK {
			return false
		}
	}
	return true
}

// Print writes the results for people: a line each.
func (rs Results) Print(w io.Writer) {
	for _, r := range rs {
		r = r.printable()
		switch {
		case r.Warning != "":
			fmt.Fprintf(w, "WARN %s: %s\n", r.What, r.Warning)
		case r.OK && r.Detail != "":
			fmt.Fprintf(w, "ok  %s: %s\n", r.What, r.Detail)
		case r.OK:
			fmt.Fprintf(w, "ok  %s\n", r.What)
		case r.WayOut != "":
			fmt.Fprintf(w, "NOT %s: %s — %s\n", r.What, r.Why, r.WayOut)
		default:
			fmt.Fprintf(w, "NOT %s: %s\n", r.What, r.Why)
		}
	}
}

// printable returns the result as it may be printed: it can come from another machine, and quotes programs and files.
func (r Result) printable() Result {
	r.What, r.Detail, r.Warning = termsafe.Line(r.What), termsafe.Line(r.Detail), termsafe.Line(r.Warning)
	r.Why, r.WayOut = termsafe.Line(r.Why), termsafe.Line(r.WayOut)
	return r
}

// PrintJSON writes the results for programs.
func (rs Results) PrintJSON(w io.Writer) error {
	if rs == nil {
		rs = Results{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rs)
}

// Machine is what is verified.
type Machine struct {
	Root    string      // "/", or where a machine's files lie in a test
	Run     tool.Runner // runs the machine's own programs
	Timeout time.Duration
	// Addresses are what the kernel holds, each with its interface.
	Addresses func() ([]vip.Held, error)
	Hostname  func() (string, error)
	Mark      string // the maintenance mark
	// Check asks haproxy over a socket whether it serves.
	Check func(socket string) error
	// States are the VRRP states that the daemon knows of, by vrrp_instance. An error says that it does not answer.
	States func(ctx context.Context) (map[string]string, error)
	// Drift is what the daemon knows to be wrong with the files that the services run on.
	Drift func(ctx context.Context) ([]string, error)
}

// path is where a path of the machine lies.
func (m *Machine) path(p string) string { return filepath.Join(m.Root, p) }

// fault is why a step does not hold, and the way out.
type fault struct{ why, wayOut string }

func (f *fault) Error() string { return f.why }

// not says why a step does not hold.
func not(wayOut, format string, args ...any) error {
	return &fault{why: fmt.Sprintf(format, args...), wayOut: wayOut}
}

// warning is what an operator should know of a step that holds.
type warning string

func (w warning) Error() string { return string(w) }

// step is one thing that must hold. check returns what it found. An
// error that is a warning does not keep it from holding.
type step struct {
	what  string
	check func(ctx context.Context) (string, error)
}

// carryOut checks the steps one by one, each within the machine's time-out.
func (m *Machine) carryOut(ctx context.Context, steps []step) Results {
	var results Results
	for _, s := range steps {
		results = append(results, m.one(ctx, s))
	}
	return results
}

func (m *Machine) one(ctx context.Context, s step) Result {
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	detail, err := s.check(ctx)
	if err == nil {
		return Result{What: s.what, OK: true, Detail: detail}
	}
	if w, ok := err.(warning); ok {
		return Result{What: s.what, OK: true, Warning: string(w)}
	}
	r := Result{What: s.what, Why: err.Error()}
	if f, ok := err.(*fault); ok {
		r.WayOut = f.wayOut
	}
	return r
}
