package recipe_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

var update = flag.Bool("update", false, "rewrite the expected files of testdata/*.txtar")

// TestGolden compares the files that depend on the spec. A case is a txtar file with spec.yaml and, for each release in its
// comment, the files of each node as RELEASE/NODE/PATH.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("found no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			want, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(want.Files) == 0 || want.Files[0].Name != "spec.yaml" {
				t.Fatal("the first file of a case must be spec.yaml")
			}
			got := &txtar.Archive{Comment: want.Comment, Files: want.Files[:1:1]}
			s := parseBytes(t, "spec.yaml", want.Files[0].Data)
			for _, name := range strings.Fields(releasesOf(want.Comment)) {
				got.Files = append(got.Files, identities(t, s, name)...)
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(got))); diff != "" {
				t.Errorf("the files of nodes have changed (-want +got); go test ./internal/recipe -update accepts them:\n%s", diff)
			}
		})
	}
}

// releasesOf reads a line such as "releases: bookworm noble" in a case's comment.
func releasesOf(comment []byte) string {
	for line := range strings.Lines(string(comment)) {
		if names, ok := strings.CutPrefix(line, "releases:"); ok {
			return names
		}
	}
	return ""
}

// identities returns the files of each node's own recipe, and the rest of the recipe as JSON.
func identities(t *testing.T, s *spec.Spec, releaseName string) []txtar.File {
	t.Helper()
	r, err := release.Get(releaseName)
	if err != nil {
		t.Fatal(err)
	}
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	out := []txtar.File{{Name: releaseName + "/image", Data: summary(t, image)}}
	for i := range s.Nodes {
		node, err := recipe.Node(s, &s.Nodes[i], r)
		if err != nil {
			t.Fatal(err)
		}
		prefix := releaseName + "/" + s.Nodes[i].Name
		for _, f := range node.Files {
			out = append(out, txtar.File{Name: prefix + f.Path, Data: f.Content})
		}
		out = append(out, txtar.File{Name: prefix, Data: summary(t, node)})
	}
	return out
}

// summary returns a recipe without the content of its files, as JSON.
func summary(t *testing.T, r recipe.Recipe) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, f := range r.Files {
		fmt.Fprintf(&out, "%#o %s:%s %s", f.Mode, f.Owner, f.Group, f.Path)
		if f.Package != "" {
			fmt.Fprintf(&out, " (after package %s)", f.Package)
		}
		if f.Early {
			fmt.Fprint(&out, " (early)")
		}
		out.WriteByte('\n')
	}
	r.Files = nil
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
