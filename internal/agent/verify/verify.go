// Package verify checks, step by step, whether a machine meets the requirements for a load balancer: as an image that is not
// a node yet, or as a running node.
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
	"github.com/hapair/hapair/internal/validator"
)

// Result is the result of one step.
type Result struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`  // what was found, if the step succeeded
	Why    string `json:"why,omitempty"`     // what was found, if the step failed
	WayOut string `json:"way_out,omitempty"` // what the user can do
	// Warning is a problem that does not make the step fail.
	Warning string `json:"warning,omitempty"`
}

// Results are the results of all steps, in order.
type Results []Result

// OK reports whether every step succeeded.
func (rs Results) OK() bool {
	for _, r := range rs {
		if !r.OK {
			return false
		}
	}
	return true
}

// Print writes the results for people, one line each.
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

// printable returns the result without control characters: it can come from another machine, and quotes programs and files.
func (r Result) printable() Result {
	r.What, r.Detail, r.Warning = termsafe.Line(r.What), termsafe.Line(r.Detail), termsafe.Line(r.Warning)
	r.Why, r.WayOut = termsafe.Line(r.Why), termsafe.Line(r.WayOut)
	return r
}

// PrintJSON writes the results as JSON.
func (rs Results) PrintJSON(w io.Writer) error {
	if rs == nil {
		rs = Results{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rs)
}

// Machine is the machine to verify.
type Machine struct {
	Root    string           // "/", or the folder with a machine's files in a test
	Run     validator.Runner // runs the machine's programs
	Timeout time.Duration
	// Addresses returns the addresses that the kernel holds, each with its interface.
	Addresses func() ([]vip.Held, error)
	Hostname  func() (string, error)
	Mark      string // path of the maintenance mark
	// Check asks haproxy over a socket whether it serves.
	Check func(socket string) error
	// States returns the VRRP states that the daemon has recorded, by vrrp_instance. It returns an error if the daemon does
	// not answer.
	States func(ctx context.Context) (map[string]string, error)
	// Drift returns the problems that the daemon reports with the files that the services run.
	Drift func(ctx context.Context) ([]string, error)
}

// path returns the location of a path of the machine.
func (m *Machine) path(p string) string { return filepath.Join(m.Root, p) }

// fault is the error of a failed step: the reason, and what the user can do.
type fault struct{ why, wayOut string }

func (f *fault) Error() string { return f.why }

// not returns the fault of a step.
func not(wayOut, format string, args ...any) error {
	return &fault{why: fmt.Sprintf(format, args...), wayOut: wayOut}
}

// warning is a problem that does not make a step fail.
type warning string

func (w warning) Error() string { return string(w) }

// step is one requirement. check returns what it found. A warning as its error does not make the step fail.
type step struct {
	what  string
	check func(ctx context.Context) (string, error)
}

// carryOut runs the steps one after another, each within the machine's timeout.
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
