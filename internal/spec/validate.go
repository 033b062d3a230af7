package spec

import (
	"regexp"
	"unicode"

	"github.com/hapair/hapair/internal/strictyaml"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func isControl(r rune) bool { return unicode.IsControl(r) }

// validate tells what is wrong with a spec that could be decoded.
func (s *Spec) validate(doc *strictyaml.Document) {
	if s.APIVersion != APIVersion {
		doc.Problem("apiVersion", "must be "+APIVersion, "")
	}
}
