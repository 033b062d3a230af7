package validator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hapair/hapair/internal/regular"
)

// Verdict is what a program says of a configuration file.
type Verdict int

const (
	// None: the program could not tell. Nothing may be changed on the strength of it.
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

// Answer is a verdict, and what the program said.
type Answer struct {
	Verdict  Verdict
	Messages []string // the program's own lines; with a good file, its warnings
}

// Reason is the answer in one line, for an error or a status.
func (a Answer) Reason() string { return strings.Join(a.Messages, "; ") }

// Ask runs a program that judges a file by its exit status: 0 is good, a signal or a time that is up tells nothing.
func Ask(ctx context.Context, run Runner, name string, args ...string) Answer {
	r, err := run(ctx, name, args...)
	command := strings.Join(append([]string{name}, args...), " ")
	switch {
	case err != nil:
		return Answer{None, []string{err.Error()}}
	case r.TimedOut:
		return Answer{None, []string{command + " did not end in time"}}
	case r.Status == 0:
		return Answer{Good, r.Lines()}
	case r.Status > 128:
		return Answer{None, []string{fmt.Sprintf("%s was ended by signal %d", command, r.Status-128)}}
	}
	return Answer{Bad, r.Lines()}
}

// ReadConfig reads a file that is to be judged. One that is missing or blank is bad, though the programs may say that
// it is good.
func ReadConfig(path string) ([]byte, Answer) {
	data, err := regular.ReadFile(path, regular.MaxConfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, Answer{Bad, []string{"there is no " + path}}
	case errors.Is(err, regular.ErrUnusable):
		return nil, Answer{Bad, []string{"cannot " + err.Error()}}
	case err != nil:
		return nil, Answer{None, []string{err.Error()}}
	case len(bytes.TrimSpace(data)) == 0:
		return nil, Answer{Bad, []string{path + " is empty"}}
	}
	return data, Answer{Verdict: Good}
}
