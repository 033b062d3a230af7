package cloudinit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// checker is the cloud-init of a release.
type checker struct {
	*lab.Sandbox
	release release.Release
}

// schema checks a document with cloud-init's own schema of the given kind.
func (c checker) schema(t *testing.T, kind string, document []byte) {
	t.Helper()
	if err := c.WriteFile(t.Context(), "/tmp/document", 0o600, "", document); err != nil {
		t.Fatal(err)
	}
	args := []string{"schema", "-c", "/tmp/document"}
	if kind != "cloud-config" {
		if !c.release.CloudInit.AtLeast(24, 1, 0) {
			return // older versions of cloud-init have no schema for this kind
		}
		args = append(args, "-t", kind)
	}
	out, status, err := c.Run(t.Context(), "cloud-init", args...)
	if err != nil || status != 0 {
		t.Errorf("cloud-init schema: exit %d (%v):\n%s\n%s", status, err, out, document)
	}
}

// checkedInEachTier are examples that differ most in their seeds: users, networks and firewalls. A check takes a second.
var checkedInEachTier = []string{"bare-metal", "cloud", "dual-stack", "full"}

// TestSchema checks the seeds of examples with cloud-init's own schemas: those of the first node with noble's cloud-init. In the
// wide tier it checks those of each node of every example, with the cloud-init of an older and a newer release, too.
func TestSchema(t *testing.T) {
	examples, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatalf("found no examples: %v", err)
	}
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			c := checker{labtest.Sandbox(t, name), r}
			if out, status, _ := c.Run(t.Context(), "sh", "-c", `printf '#cloud-config\nusers: 1\n' >/tmp/bad && cloud-init schema -c /tmp/bad`); status == 0 {
				t.Fatalf("cloud-init schema accepts an invalid document: %s", out)
			}
			for _, path := range examples {
				name := strings.TrimSuffix(filepath.Base(path), ".yaml")
				if !needs.Wide(t) && !slices.Contains(checkedInEachTier, name) {
					continue
				}
				t.Run(name, func(t *testing.T) { c.example(t, path) })
			}
			t.Run("everything", c.everything)
		})
	}
}

func (c checker) example(t *testing.T, path string) {
	for i, seed := range exampleSeeds(t, path, c.release) {
		if i >= kinds && !needs.Wide(t) {
			break
		}
		c.schema(t, "cloud-config", seed.UserData)
		if seed.NetworkConfig != nil && seed.Agent == nil { // it is the same for both kinds of image
			c.schema(t, "network-config", seed.NetworkConfig)
		}
	}
}

// everything checks features that are not in any example.
func (c checker) everything(t *testing.T) {
	r := stockRecipe()
	r.Hostname = "a.example.org"
	r.Files = append(r.Files, file("/b", 0o600, "root", "", "\x00\xff"))
	for _, image := range []Image{Golden, Stock} {
		s, err := Generate(r, options(t, image, NoCloud))
		if err != nil {
			t.Fatal(err)
		}
		c.schema(t, "cloud-config", s.UserData)
	}
}

// kinds is the number of seeds of a node: for a golden image and a stock image.
const kinds = 2

// exampleSeeds returns the seeds of every node of an example, for both kinds of image.
func exampleSeeds(t *testing.T, path string, r release.Release) []Seed {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, problems := spec.Parse(path, data, spec.Sources{
		ReadFile:  func(string) ([]byte, error) { return []byte("a secret"), nil },
		LookupEnv: func(string) (string, bool) { return "a secret", true },
	})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	var seeds []Seed
	for i := range s.Nodes {
		node, err := recipe.Node(s, &s.Nodes[i], r)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []Image{Golden, Stock} {
			rec := node
			if kind == Stock {
				rec = recipe.Merge(image, node)
			}
			o := options(t, kind, NoCloud)
			o.CloudConfig = s.CloudConfig
			seed, err := Generate(rec, o)
			if err != nil {
				t.Fatal(err)
			}
			seeds = append(seeds, seed)
		}
	}
	return seeds
}
