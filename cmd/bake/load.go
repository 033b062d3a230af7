package main

import (
	"context"
	"os"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/paint"
	"github.com/hapair/hapair/internal/preflight"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

// judging is the name of the step in which the daemons test the configuration.
const judging = "test the configuration with haproxy and keepalived"

// load reads a spec and prints its problems. It returns an error if the spec cannot be used.
func (e *env) load(path string) (*spec.Spec, error) {
	s, problems, err := spec.Read(path)
	if err != nil {
		return nil, exitstatus.With(exitstatus.Failure, err)
	}
	if err := e.printProblems(problems); err != nil {
		return nil, err
	}
	e.loaded = s
	return s, nil
}

// loadFor reads a spec, tests it for a release (that of the flag, or the spec's own if it is empty), and prints its problems.
// It returns an error if the spec cannot be used.
func (e *env) loadFor(ctx context.Context, path, flag string) (s *spec.Spec, r release.Release, err error) {
	var problems diag.Problems
	e.wait(judging, func(func(string)) { s, r, problems, err = preflight.Load(ctx, path, flag) })
	if failed := e.printProblems(problems); failed != nil {
		return nil, r, failed
	}
	e.loaded = s
	return s, r, err
}

// printProblems prints problems. It returns an error if one of them is more than a warning.
func (e *env) printProblems(problems diag.Problems) error {
	problems = e.severe(e.loaded.Place(problems))
	if e.json && problems.HasErrors() {
		if err := problems.PrintJSON(termsafe.Writer(e.stdout)); err != nil {
			return cannot("print the problems: %v", err)
		}
	} else {
		problems.Print(termsafe.Writer(paint.For(e.stderr, os.Getenv)))
	}
	if problems.HasErrors() {
		return exitstatus.With(exitstatus.No, nil)
	}
	return nil
}

// severe turns warnings into errors if --strict is set.
func (e *env) severe(problems diag.Problems) diag.Problems {
	if e.strict {
		return problems.Strict()
	}
	return problems
}
