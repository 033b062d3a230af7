package spec

import (
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/release"
)

// Place adds the places in the spec's file to problems that only have a path, such as those of later stages.
func (s *Spec) Place(problems diag.Problems) diag.Problems {
	if s == nil {
		return problems
	}
	out := make(diag.Problems, len(problems))
	for i, p := range problems {
		out[i] = s.doc.Place(p)
	}
	return out
}

// CheckFor returns the errors of a valid spec if its image has another release.
func (s *Spec) CheckFor(r release.Release) diag.Problems {
	if r.Name == s.Image.Release || s.doc == nil {
		return nil
	}
	other, doc := *s, s.doc.Fork()
	other.Image.Release = r.Name
	other.validate(doc)
	var errs diag.Problems
	for _, p := range doc.Problems() {
		if p.Severity == diag.Error {
			errs = append(errs, p)
		}
	}
	return errs
}

// WithPlaceholders returns the spec with a value for each missing secret, so that the rest can be checked.
func (s *Spec) WithPlaceholders() *Spec {
	if s.Stats == nil || !s.Stats.Password.Missing() || s.Stats.Password.File == "" && s.Stats.Password.Env == "" {
		return s
	}
	out, stats := *s, *s.Stats
	stats.Password.value = "placeholder"
	out.Stats = &stats
	return &out
}
