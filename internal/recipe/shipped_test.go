package recipe_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/units"
)

// Each file of a recipe must be on the list that `ha-agent verify` checks, with its mode and, if it is the same on every
// node, with its content.
func TestUnitsListEveryShippedFile(t *testing.T) {
	list := map[string]units.File{}
	for _, f := range units.All(units.Features{Node: true, Firewall: true, Certificates: true}) {
		list[f.Path] = f
	}
	network := 0
	for name, s := range examples(t) {
		for _, r := range release.All() {
			image, err := recipe.Image(s, r)
			if err != nil {
				t.Fatal(err)
			}
			files := image.Files
			for i := range s.Nodes {
				node, err := recipe.Node(s, &s.Nodes[i], r)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, node.Files...)
			}
			for _, f := range files {
				if bytes.Equal(f.Content, units.Network("x").Content) {
					network++ // its path depends on the interface
					continue
				}
				if slices.ContainsFunc(s.Files, func(own spec.File) bool { return own.Path == f.Path }) {
					continue // written for the operator
				}
				want, ok := list[f.Path]
				switch {
				case !ok:
					t.Errorf("%s, %s: %s is not on the list of package units", name, r.Name, f.Path)
				case f.Owner != "root" || f.Mode&^want.Mode != 0 || want.Content != nil && f.Mode != want.Mode:
					t.Errorf("%s, %s: %s has mode %04o and owner %s, and the list has mode %04o and root", name, r.Name, f.Path, f.Mode, f.Owner, want.Mode)
				case want.Content != nil && !bytes.Equal(f.Content, want.Content):
					t.Errorf("%s, %s: %s differs from its content in the list", name, r.Name, f.Path)
				}
			}
		}
	}
	if network == 0 {
		t.Error("the recipes have no drop-in of systemd-networkd")
	}
}
