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

// Verdict is a program's verdict about a configuration file.
type Verdict int

const (
	// None: the program could not decide. Nothing may be changed because of it.
	None Verdict = iota
	Good         // the program accepts the file
	Bad          // the program refuses it
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

// Answer is a verdict with the program's messages.
type Answer struct {
	Verdict  Verdict
	Messages []string // the program's own lines; for a good file, its warnings
}

// Reason returns the messages in one line, for an error or a status.
func (a Answer) Reason() string { return strings.Join(a.Messages, "; ") }

// Ask runs a program whose exit status is its verdict: 0 is good. A signal or a timeout gives no verdict.
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

// ReadConfig reads a file that will be tested. A missing or blank file is bad, although the programs may accept it.
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
