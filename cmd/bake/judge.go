package main

import (
	"context"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/judge"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// judge tests the daemons' configuration for a valid spec with the haproxy and keepalived of this machine, as far as they
// are installed, and returns the problems that they report.
func (e *env) judge(ctx context.Context, s *spec.Spec, r release.Release) (diag.Problems, error) {
	var problems diag.Problems
	var err error
	e.wait("test the configuration with haproxy and keepalived", func(func(string)) { problems, err = judge.Spec(ctx, judge.Local, s, r) })
	if err != nil {
		return nil, exitstatus.With(exitstatus.Failure, err)
	}
	return problems, nil
}

// loadFor reads a spec and tests it for a release: the one of the flag, or the spec's own. It returns an error if the spec
// cannot be used.
func (e *env) loadFor(ctx context.Context, path, flag string) (*spec.Spec, release.Release, error) {
	s, err := e.load(path)
	if err != nil {
		return nil, release.Release{}, err
	}
	r, err := releaseOf(s, flag)
	if err != nil {
		return nil, r, err
	}
	problems, err := e.judge(ctx, s, r)
	if err != nil {
		return nil, r, err
	}
	return s, r, e.tell(problems)
}
