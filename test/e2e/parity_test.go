package e2e

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

// TestParity boots a base in two ways: as a golden image with its seed, and as a stock image whose user-data installs the
// rest. Both must result in the same machine. inventory_test.go lists what is compared, and allowed_test.go what may differ.
func TestParity(t *testing.T) {
	for _, name := range cluster.Releases(t, "noble") {
		t.Run(name, func(t *testing.T) {
			b := build(t)
			base := plainImage(t, b, name)
			var golden, stock inventory
			t.Run("golden", func(t *testing.T) { golden = takeInventory(t, b.Golden(t, name)) })
			t.Run("stock", func(t *testing.T) { stock = takeInventory(t, stockCluster(t, b, name, base)) })
			if t.Failed() {
				return
			}
			compareInventories(t, golden, stock)
		})
	}
}

// plainImage bakes an image without a recipe, which is like a distribution's own cloud image of the release. It uses the
// base of the golden image.
func plainImage(t *testing.T, b *cluster.Bake, name string) string {
	t.Helper()
	r, err := release.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := lab.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(b.Dir, "plain-"+name+".img")
	_, err = image.Bake(t.Context(), image.Options{Release: r, Base: image.Bootstrap, Output: out, Format: image.Raw, CacheDir: cache},
		func(context.Context, *image.Machine) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(out) })
	return out
}

// stockCluster creates both nodes of an image with user-data for stock images, off. apt reaches the archives through a
// proxy.
func stockCluster(t *testing.T, b *cluster.Bake, name, path string) *cluster.Cluster {
	t.Helper()
	seeds := filepath.Join(b.Dir, "stock-seeds")
	b.Run(t, "cloud-init", b.Spec, "--image", "stock", "--release", name, "-o", seeds)
	l := labtest.Lab(t)
	base, err := l.Image(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	root := labtest.Root(t, name, lab.NodePackages()...) // its sources name the archives
	proxy, err := l.AddProxy("management", netip.MustParsePrefix("192.168.56.250/24"), root)
	if err != nil {
		t.Fatal(err)
	}
	cl := cluster.New(t, l, base, seeds, cluster.IPv4)
	for _, h := range cl.Nodes {
		if err := h.WriteFile(proxyFile, 0o644, proxy.AptConf()); err != nil {
			t.Fatal(err)
		}
	}
	return cl
}

// proxyFile configures apt on a stock node to use the lab's proxy.
const proxyFile = "/etc/apt/apt.conf.d/90lab"

// takeInventory boots only the first node, waits until every step of the setup succeeds, and returns its inventory.
func takeInventory(t *testing.T, cl *cluster.Cluster) inventory {
	t.Helper()
	h := cl.Nodes["controller-1"]
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.WaitRunning(ctx); err != nil {
		t.Fatalf("%v\n%s\n%s", err, h.Logs(ctx, 150), cl.FirstBoot(ctx, h))
	}
	var said string
	err := poll.Nil(ctx, 200*time.Millisecond, func() (err error) {
		said, err = h.Must(ctx, "ha-agent", "verify")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(said)
	inv, err := readInventory(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}
