package spec

import (
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/srcmap"
)

// At returns the place of an origin in the spec's file, as a problem without severity and message. Lines of haproxy.config are
// in the file that it names.
func (s *Spec) At(o srcmap.Origin) diag.Problem {
	switch {
	case o.Text && o.Path == "haproxy.config":
		return diag.Problem{File: s.doc.Beside(s.HAProxy.Config), Line: max(o.Line, 0) + 1, Column: 1, Path: o.Path}
	case o.Text:
		return s.doc.PlaceInText(o.Path, o.Line)
	}
	return s.doc.PlaceOf(o.Path)
}
