package examples_test

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/spec"
)

// sources provides the secrets and files that the examples refer to, because secrets are not committed.
func sources() spec.Sources {
	return spec.Sources{ReadFile: func(name string) ([]byte, error) {
		if name != "secrets/stats" {
			return nil, fs.ErrNotExist
		}
		return []byte("a password\n"), nil
	}}
}

func TestExamplesAreValid(t *testing.T) {
	// Warnings that an example causes on purpose.
	warnings := map[string][]string{
		"cloud":       {"vips[0].address"},
		"controllers": {"nodes[0].name", "nodes[1].name", "vips[0].address", "stats"},
		"full":        {"vips[0].address"},
	}
	names := examples.Names()
	if len(names) < 8 {
		t.Fatalf("found only %d examples: %s", len(names), names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			data, ok := examples.Get(name)
			if !ok {
				t.Fatal("Get returned no example")
			}
			_, problems := spec.Parse(name+".yaml", data, sources())
			var paths []string
			for _, p := range problems {
				if p.Severity == diag.Error {
					t.Errorf("unexpected error: %s", p)
				}
				paths = append(paths, p.Path)
			}
			if !slices.Equal(paths, warnings[name]) {
				t.Errorf("problems at %v, want them at %v", paths, warnings[name])
			}
		})
	}
}

func TestGetOfAnotherName(t *testing.T) {
	if _, ok := examples.Get("nothing"); ok {
		t.Error("Get returned an example that does not exist")
	}
}

// The names must be those of the files, so that the tests leave out no example.
func TestNamesAreTheFiles(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range files {
		want = append(want, strings.TrimSuffix(f, ".yaml"))
	}
	if !slices.Equal(examples.Names(), want) {
		t.Errorf("Names = %v, want %v", examples.Names(), want)
	}
}
