package preflight

import (
	"cmp"
	"context"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/judge"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Load reads a spec and tests it for a release: the named one, or the spec's own if the name is empty. The haproxy and
// keepalived of this machine test the configuration, as far as they are installed. The spec can be used if err is nil and the
// problems contain no error. The error has an exit status (package exitstatus).
func Load(ctx context.Context, path, releaseName string) (s *spec.Spec, r release.Release, problems diag.Problems, err error) {
	s, problems, err = spec.Read(path)
	if err != nil {
		return nil, r, nil, exitstatus.With(exitstatus.Failure, err)
	}
	if problems.HasErrors() {
		return s, r, problems, nil
	}
	r, err = release.Get(cmp.Or(releaseName, s.Image.Release))
	if err != nil {
		return s, r, problems, exitstatus.With(exitstatus.Usage, err)
	}
	if err := s.CheckFor(r).Err(); err != nil {
		return s, r, problems, exitstatus.With(exitstatus.No, err)
	}
	refused, err := judge.Spec(ctx, judge.Local, s, r)
	if err != nil {
		return s, r, problems, exitstatus.With(exitstatus.Failure, err)
	}
	return s, r, append(problems, refused...), nil
}

// Validate returns all problems of a spec, in the order of their positions: those of the spec itself, those of all later
// stages (see Check), and those that the haproxy and keepalived of this machine find. A name of a release replaces the
// spec's own. An error means that the spec could not be read or tested, and has an exit status.
func Validate(ctx context.Context, path, releaseName string, cloud cloudinit.Cloud) (*spec.Spec, diag.Problems, error) {
	s, problems, err := spec.Read(path)
	if err != nil {
		return nil, nil, exitstatus.With(exitstatus.Failure, err)
	}
	if problems.HasErrors() {
		return s, problems, nil
	}
	r, err := release.Get(cmp.Or(releaseName, s.Image.Release))
	if err != nil {
		return s, problems, exitstatus.With(exitstatus.Usage, err)
	}
	problems = append(problems, Check(s, Options{Release: r, Cloud: cloud})...)
	refused, err := judge.Spec(ctx, judge.Local, s, r)
	if err != nil {
		return s, problems, exitstatus.With(exitstatus.Failure, err)
	}
	problems = append(problems, refused...)
	problems.Sort()
	return s, problems, nil
}
