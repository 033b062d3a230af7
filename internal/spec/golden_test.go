package spec

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the problems that testdata expects")

// Each case holds a spec, the files and the variables (env, as NAME=VALUE lines) that it refers to, and its problems as
// they are printed.
func TestProblems(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) < 40 {
		t.Fatalf("found %d cases: %v", len(cases), err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := Parse("spec.yaml", content(archive, "spec.yaml"), archiveSources(archive))
			var out bytes.Buffer
			problems.Print(&out)
			if *update {
				setContent(archive, "problems", out.Bytes())
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(content(archive, "problems")), out.String()); diff != "" {
				t.Errorf("other problems than expected (-want +got):\n%s", diff)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Message == "" {
					t.Errorf("a problem without its place: %+v", p)
				}
			}
		})
	}
}

func content(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func setContent(a *txtar.Archive, name string, data []byte) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = data
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: data})
}

// archiveSources finds what a spec refers to in the archive beside it.
func archiveSources(a *txtar.Archive) Sources {
	return Sources{
		ReadFile: func(name string) ([]byte, error) {
			for _, f := range a.Files {
				if f.Name == name {
					return f.Data, nil
				}
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
		LookupEnv: func(name string) (string, bool) {
			for line := range strings.Lines(string(content(a, "env"))) {
				if value, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name+"="); ok {
					return value, true
				}
			}
			return "", false
		},
	}
}
