// Package validate asks the real programs whether a file is good, and knows when they cannot tell.
package validate

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hapair/hapair/internal/tool"
)

// Verdict is what a program says of a file.
type Verdict int

const (
	// None: the program could not tell. Who asks must change nothing on the strength of it.
	None Verdict = iota
	Good
	Bad
)

func (v Verdict) String() string {
	switch v {
	case Good:
		return "good"
	case Bad:
		return "bad"
	}
	return "no verdict"
}

// Answer is a verdict with the program's reason.
type Answer struct {
	Verdict Verdict
	Reason  string // one line; empty where the file is good
}

// HAProxy asks haproxy -c. It opens no socket of the service's, but reads the files that the config names.
func HAProxy(ctx context.Context, run tool.Runner, path string) Answer {
	if a, empty := content(path); empty {
		return a
	}
	r, err := run(ctx, "haproxy", "-c", "-f", path)
	switch {
	case err != nil:
		return Answer{None, err.Error()}
	case r.TimedOut:
		return Answer{None, "haproxy -c did not end in time"}
	case r.Status == 0:
		return Answer{Verdict: Good}
	case r.Status > 128:
		return Answer{None, fmt.Sprintf("haproxy -c was ended by signal %d", r.Status-128)}
	}
	return Answer{Bad, message(r, "ALERT")}
}

// Keepalived asks keepalived -t. It says good of a file that is empty or missing, so that is looked at here; and 2.2.5 to
// 2.2.7 end by SIGTERM where a script's user is not their own, which says nothing.
func Keepalived(ctx context.Context, run tool.Runner, path string) Answer {
	if a, empty := content(path); empty {
		return a
	}
	r, err := run(ctx, "keepalived", "-t", "-f", path)
	switch {
	case err != nil:
		return Answer{None, err.Error()}
	case r.TimedOut:
		return Answer{None, "keepalived -t did not end in time"}
	case r.Status == 0:
		return Answer{Verdict: Good}
	case r.Status > 128:
		return Answer{None, fmt.Sprintf("keepalived -t was ended by signal %d", r.Status-128)}
	}
	return Answer{Bad, message(r, "")}
}

// content refuses a file that is missing or has nothing in it but blanks.
func content(path string) (Answer, bool) {
	b, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err):
		return Answer{Bad, "the file is not there"}, true
	case err != nil:
		return Answer{None, "cannot read the file: " + err.Error()}, true
	case len(bytes.TrimSpace(b)) == 0:
		return Answer{Bad, "the file is empty"}, true
	}
	return Answer{}, false
}

// message is the first line of the output that has mark in it, or the first that says anything.
func message(r tool.Result, mark string) string {
	lines := r.Lines()
	for _, l := range lines {
		if strings.Contains(l, mark) {
			return l
		}
	}
	if len(lines) > 0 {
		return lines[0]
	}
	return fmt.Sprintf("exit status %d", r.Status)
}
