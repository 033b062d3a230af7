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

// sources has what the examples refer to: secrets are not committed.
func sources() spec.Sources {
	return spec.Sources{ReadFile: func(name string) ([]byte, error) {
		if name != "secrets/stats" {
			return nil, fs.ErrNotExist
		}
		return []byte("a password\n"), nil
	}}
}

func TestExamplesAreValid(t *testing.T) {
	// What an example shows on purpose.
	warnings := map[string][]string{
		"cloud":       {"vips[0].address"},
		"controllers": {"nodes[0].name", "nodes[1].name", "vips[0].address", "stats"},
		"full":        {"vips[0].address"},
	}
	names := examples.Names()
	if len(names) < 8 {
		t.Fatalf("only %d examples: %s", len(names), names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			data, ok := examples.Get(name)
			if !ok {
				t.Fatal("there is no such example")
			}
			_, problems := spec.Parse(name+".yaml", data, sources())
			var paths []string
			for _, p := range problems {
				if p.Severity == diag.Error {
					t.Errorf("%s", p)
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
		t.Error("got an example that there is not")
	}
}

// Names are those of the files, so that no example is left out of the tests.
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
		t.Errorf("got %v, want %v", examples.Names(), want)
	}
}
