package recipe_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

// TestNetplanNamesFilesAfterIDs lets the releases' cloud-init and netplan read network-config with MACs, a bond and a VLAN,
// and one from the user. Each drop-in of the image must belong to a file that netplan writes on some node.
func TestNetplanNamesFilesAfterIDs(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "machines.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	s := parseBytes(t, "spec.yaml", archive.Files[0].Data)
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			written := map[string]bool{}
			for i := range s.Nodes {
				node, err := recipe.Node(s, &s.Nodes[i], r)
				if err != nil {
					t.Fatal(err)
				}
				config, err := yaml.Marshal(map[string]any{"network": node.Network.Config})
				if err != nil {
					t.Fatal(err)
				}
				h := &host{labtest.Sandbox(t, name), node}
				for _, path := range []string{"/tmp/root/etc/netplan/50.yaml", "/tmp/network-config"} {
					if err := h.WriteFile(deadline(t), path, 0o600, "root:root", config); err != nil {
						t.Fatal(err)
					}
				}
				h.must(t, "cloud-init", "devel", "net-convert", "-p", "/tmp/network-config", "-k", "yaml", "-O", "netplan", "-D", r.Distribution, "-d", "/tmp/converted")
				generator := "/usr/libexec/netplan/generate"
				if !h.has(generator) {
					generator = "/lib/netplan/generate"
				}
				h.must(t, generator, "--root-dir", "/tmp/root")
				files, err := os.ReadDir(h.file("/tmp/root/run/systemd/network"))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range files {
					written[f.Name()] = true
				}
			}
			image, err := recipe.Image(s, r)
			if err != nil {
				t.Fatal(err)
			}
			var dropIns []string
			for _, f := range image.Files {
				if dir, ok := strings.CutSuffix(f.Path, ".d/hapair.conf"); ok && strings.HasPrefix(f.Path, "/etc/systemd/network/") {
					dropIns = append(dropIns, filepath.Base(dir))
					if !written[filepath.Base(dir)] {
						t.Errorf("the drop-in %s does not belong to a file of netplan: %v", f.Path, written)
					}
				}
			}
			if want := "10-netplan-bond0.100.network 10-netplan-bond0.network 10-netplan-lan.network"; strings.Join(dropIns, " ") != want {
				t.Errorf("the image has drop-ins for %v, but not for %s", dropIns, want)
			}
		})
	}
}
