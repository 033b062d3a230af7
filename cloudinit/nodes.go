package cloudinit

import (
	"slices"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Nodes generates the seeds of a spec's nodes for a release, in the order of the spec: of all nodes, or of the named ones. With
// the image Stock, a seed also contains what is in a golden image. The spec's own cloud-config replaces that in o.
func Nodes(s *spec.Spec, r release.Release, o Options, names ...string) ([]NodeSeed, error) {
	var image recipe.Recipe
	var err error
	if o.Image == Stock {
		if image, err = recipe.Image(s, r); err != nil {
			return nil, err
		}
	}
	o.CloudConfig = s.CloudConfig
	var seeds []NodeSeed
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if len(names) > 0 && !slices.Contains(names, n.Name) {
			continue
		}
		rec, err := recipe.Node(s, n, r)
		if err != nil {
			return nil, err
		}
		if o.Image == Stock {
			rec = recipe.Merge(image, rec)
		}
		seed, err := Generate(rec, o)
		if err != nil {
			return nil, err
		}
		seeds = append(seeds, NodeSeed{Node: n.Name, Seed: seed})
	}
	return seeds, nil
}
