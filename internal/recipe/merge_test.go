package recipe_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
)

// TestImageHasNoIdentity checks that an image's recipe contains nothing of a node, for all releases.
func TestImageHasNoIdentity(t *testing.T) {
	for example, s := range examples(t) {
		for _, r := range release.All() {
			image, err := recipe.Image(s, r)
			if err != nil {
				t.Fatal(err)
			}
			if image.Hostname != "" || image.Network != nil || image.Logins != nil {
				t.Errorf("%s on %s: the image has a node's identity: %+v", example, r.Name, image)
			}
			for _, f := range image.Files {
				for _, n := range s.Nodes {
					if len(n.Name) > 1 && bytes.Contains(f.Content, []byte(n.Name)) || bytes.Contains(f.Content, []byte(n.Addresses[0].Addr.String())) {
						t.Errorf("%s on %s: %s of the image names node %s", example, r.Name, f.Path, n.Name)
					}
				}
				if bytes.Contains(f.Content, []byte("$6$")) {
					t.Errorf("%s on %s: %s of the image contains a password hash", example, r.Name, f.Path)
				}
			}
		}
	}
}

// TestMerge merges a node's recipe into its image's. If both have a file, the node's wins. Neither recipe is changed.
func TestMerge(t *testing.T) {
	s := examples(t)["everything"]
	r, err := release.Get("noble")
	if err != nil {
		t.Fatal(err)
	}
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	node, err := recipe.Node(s, &s.Nodes[0], r)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(image.Files)
	whole := recipe.Merge(image, node)
	if !reflect.DeepEqual(image.Files, before) {
		t.Error("the image's recipe was changed")
	}
	for _, f := range node.Files {
		if i := find(whole, f.Path); i < 0 || !bytes.Equal(whole.Files[i].Content, f.Content) {
			t.Errorf("%s is not that of the node", f.Path)
		}
	}
	for _, f := range image.Files {
		if find(whole, f.Path) < 0 {
			t.Errorf("%s of the image is missing", f.Path)
		}
	}
	if !slices.IsSortedFunc(whole.Files, func(a, b recipe.File) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) }) {
		t.Error("the files are not sorted")
	}
	if whole.Hostname != "lb-1" || !reflect.DeepEqual(whole.Units, image.Units) || len(whole.Logins) != 1 {
		t.Errorf("hostname %s, units %v, logins %v", whole.Hostname, whole.Units, whole.Logins)
	}
}

func find(r recipe.Recipe, path string) int {
	return slices.IndexFunc(r.Files, func(f recipe.File) bool { return f.Path == path })
}
