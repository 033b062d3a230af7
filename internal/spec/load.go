// Package spec is hapair's one YAML file: its schema, how it is decoded, its defaults, and what it must satisfy.
package spec

import (
	"errors"

	"github.com/hapair/hapair/internal/diag"
)

// Sources is where a spec's references lead.
type Sources struct {
	// ReadFile reads a file that the spec names, relative to the spec's directory. nil: none can be read.
	ReadFile func(name string) ([]byte, error)
	// LookupEnv finds an environment variable. nil: none is set.
	LookupEnv func(name string) (string, bool)
}

// Parse decodes a spec, fills in its defaults and validates it. The spec is usable where the problems have no errors.
func Parse(file string, data []byte, src Sources) (*Spec, diag.Problems) {
	return nil, diag.Problems{{Severity: diag.Error, Message: errors.ErrUnsupported.Error()}}
}

// Load reads a spec from a file; its references are relative to that file's directory and to this process's environment.
func Load(path string) (*Spec, diag.Problems) { return Parse(path, nil, Sources{}) }
