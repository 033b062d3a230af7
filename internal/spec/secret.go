package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"github.com/hapair/hapair/internal/strictyaml"
)

// Secret is a value to which the spec only refers: {file: PATH}, relative to the spec, or {env: NAME}. It is always printed as
// "(secret)".
type Secret struct {
	File string
	Env  string

	value string
}

func (Secret) String() string   { return "(secret)" }
func (Secret) GoString() string { return "(secret)" }

// MarshalText keeps the value out of JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Reveal returns the value. Only code that hashes it may call it. It is empty if the secret could not be read.
func (s Secret) Reveal() string { return s.value }

// Missing reports whether there is no value: the variable is not set, or the file does not exist. Parse only warns about that,
// but rendering is impossible.
func (s Secret) Missing() bool { return s.value == "" }

// resolve reads the value. Problems never contain it or a part of it.
func (s *Secret) resolve(doc *strictyaml.Document, path string, src Sources) {
	switch {
	case s.Env != "":
		s.resolveEnv(doc, path+".env", src)
	case s.File != "":
		s.resolveFile(doc, path+".file", src)
	}
}

func (s *Secret) resolveEnv(doc *strictyaml.Document, path string, src Sources) {
	if !envName.MatchString(s.Env) {
		doc.Problem(path, "is not the name of an environment variable", "must have only letters, digits and _, such as STATS_PASSWORD")
		return
	}
	value, ok := "", false
	if src.LookupEnv != nil {
		value, ok = src.LookupEnv(s.Env)
	}
	switch {
	case !ok:
		doc.Warning(path, "the environment variable "+s.Env+" is not set", "set it before rendering")
	default:
		s.take(doc, path, "the environment variable "+s.Env, value)
	}
}

func (s *Secret) resolveFile(doc *strictyaml.Document, path string, src Sources) {
	if src.ReadFile == nil {
		doc.Warning(path, "files cannot be read here", "")
		return
	}
	data, err := src.ReadFile(s.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		doc.Warning(path, "the file "+strictyaml.Quote(s.File)+" does not exist", "create it before rendering; its path is relative to the spec")
		return
	case err != nil:
		doc.Problem(path, "cannot read the file: "+err.Error(), "")
		return
	}
	if src.Mode != nil {
		if mode, err := src.Mode(s.File); err == nil && mode.IsRegular() && mode.Perm()&0o004 != 0 {
			doc.Warning(path, "every user of this machine can read "+strictyaml.Quote(s.File), "chmod 600 it")
		}
	}
	s.take(doc, path, "the file "+strictyaml.Quote(s.File), strings.TrimRight(string(data), "\r\n"))
}

// take stores a value that is valid as a password.
func (s *Secret) take(doc *strictyaml.Document, path, from, value string) {
	switch {
	case value == "":
		doc.Problem(path, from+" is empty", "")
	case len(value) > 256:
		doc.Problem(path, from+" has more than 256 bytes", "")
	case strings.ContainsFunc(value, unicode.IsControl):
		doc.Problem(path, from+" contains a line break or a control character", "a password must be one line")
	default:
		s.value = value
	}
}

// resolve reads the files and variables to which the spec refers.
func (s *Spec) resolve(doc *strictyaml.Document, src Sources) {
	if s.Stats != nil {
		s.Stats.Password.resolve(doc, "stats.password", src)
	}
	if s.HAProxy.Config != "" {
		s.HAProxy.ConfigContent = readConfig(doc, "haproxy.config", s.HAProxy.Config, src)
	}
	for i := range s.Files {
		f := &s.Files[i]
		f.Data = []byte(f.Content)
		if path := fmt.Sprintf("files[%d].from", i); f.From != "" && f.Content == "" && !doc.HasError(path) {
			f.Data = readBeside(doc, path, f.From, src)
		}
	}
}

// readBeside reads a file that the spec names.
func readBeside(doc *strictyaml.Document, path, name string, src Sources) []byte {
	if src.ReadFile == nil {
		doc.Problem(path, "files cannot be read here", "")
		return nil
	}
	data, err := src.ReadFile(name)
	switch {
	case err != nil:
		doc.Problem(path, "cannot read the file: "+err.Error(), "its path is relative to the spec")
	case len(data) > maxFile:
		doc.Problem(path, fmt.Sprintf("the file has %d bytes, which is more than the limit of %d MiB", len(data), maxFile>>20), "")
	default:
		return data
	}
	return nil
}

// readConfig reads a file of the user that replaces a generated one.
func readConfig(doc *strictyaml.Document, path, name string, src Sources) []byte {
	data := readBeside(doc, path, name, src)
	switch {
	case doc.HasError(path):
	case strings.TrimSpace(string(data)) == "":
		doc.Problem(path, "the file is empty", "")
	case strings.ContainsRune(string(data), 0):
		doc.Problem(path, "the file contains a NUL byte", "")
	default:
		return data
	}
	return nil
}
