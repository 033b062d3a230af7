// Package spec defines hapair's only input, a YAML file: its keys, decoding, defaults and validation.
package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/strictyaml"
)

// maxFile is the maximum size in bytes of the spec and of a file that it names.
const maxFile = strictyaml.MaxSize

// Sources resolves a spec's references.
type Sources struct {
	// ReadFile reads a file that the spec names, relative to the spec's directory; nil: no file can be read.
	ReadFile func(name string) ([]byte, error)
	// Mode returns the permissions of such a file; nil: permissions are not checked.
	Mode func(name string) (fs.FileMode, error)
	// LookupEnv returns an environment variable; nil: no variable is set.
	LookupEnv func(name string) (string, bool)
}

// Parse decodes a spec, fills in its defaults and validates it. The spec can be used if the problems contain no errors.
func Parse(file string, data []byte, src Sources) (*Spec, diag.Problems) {
	s := &Spec{Digest: digest(data)}
	doc := strictyaml.Decode(file, data, s)
	s.doc = doc
	if doc.Unreadable() {
		return s, doc.Problems()
	}
	if problems := s.checkVersion(doc); problems != nil {
		return s, problems
	}
	s.fillIn(doc)
	s.resolve(doc, src)
	s.validate(doc)
	s.assignRouterIDs()
	return s, doc.Problems()
}

// checkVersion reports the version of a spec that this program cannot read. It cannot report anything else about a newer one.
func (s *Spec) checkVersion(doc *strictyaml.Document) diag.Problems {
	number, isSpec := strings.CutPrefix(s.APIVersion, "hapair/v")
	switch n, err := strconv.Atoi(number); {
	case s.APIVersion == APIVersion || doc.HasError("apiVersion"):
	case isSpec && err == nil && n > 1:
		doc.Problem("apiVersion", fmt.Sprintf("the spec has version %s, but this bake supports only %s", quote(s.APIVersion), APIVersion), "install a newer bake")
		return doc.Problems().At("apiVersion")
	case s.APIVersion == "":
		doc.Problem("apiVersion", "is missing", "write apiVersion: "+APIVersion)
	default:
		doc.Problem("apiVersion", "must be "+APIVersion+", not "+quote(s.APIVersion), "")
	}
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Load reads a spec from a file. References are relative to that file's directory and to this process's environment.
func Load(path string) (*Spec, diag.Problems) {
	s, problems, err := Read(path)
	if err != nil {
		return nil, diag.Problems{{Severity: diag.Error, Message: err.Error()}}
	}
	return s, problems
}

// Read is like Load but returns I/O errors separately from problems in the spec.
func Read(path string) (*Spec, diag.Problems, error) {
	data, err := readSpec(path)
	var pe *fs.PathError
	if errors.Is(err, regular.ErrTooLarge) && errors.As(err, &pe) {
		return nil, diag.Problems{{Severity: diag.Error, File: path, Line: 1, Column: 1, Message: "the file " + pe.Err.Error()}}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the spec: %w", err)
	}
	s, problems := Parse(path, data, sourcesIn(filepath.Dir(path), os.LookupEnv))
	return s, problems, nil
}

// sourcesIn returns sources that read files relative to a directory.
func sourcesIn(dir string, lookupEnv func(string) (string, bool)) Sources {
	in := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	return Sources{
		ReadFile: func(name string) ([]byte, error) { return regular.ReadFile(in(name), maxFile) },
		Mode: func(name string) (fs.FileMode, error) {
			info, err := os.Stat(in(name))
			if err != nil {
				return 0, err
			}
			return info.Mode(), nil
		},
		LookupEnv: lookupEnv,
	}
}

// readSpec reads the spec, which a shell may also pass as a pipe: /dev/stdin or /dev/fd/63. "-" means stdin.
func readSpec(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(os.Stdin, maxFile+1))
	}
	if path != "/dev/stdin" && !strings.HasPrefix(path, "/dev/fd/") {
		return regular.ReadFile(path, maxFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte more than the limit, so that the decoder reports a spec that is too large.
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
