package e2e

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// TestStock boots both nodes from a base that contains nothing of hapair, with user-data alone: packages, agent and all
// other files come at the first boot. Only apt's downloads leave the lab.
func TestStock(t *testing.T) {
	needs.InWide(t, "TestParity boots such a pair of noble")
	b := build(t)
	root := labtest.Root(t, "trixie", lab.StockPackages()...)
	seeds := filepath.Join(b.Dir, "seeds")
	b.Run(t, "cloud-init", b.Spec, "--image", "stock", "--release", "trixie", "-o", seeds)
	l := labtest.Lab(t)
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := l.AddProxy("management", netip.MustParsePrefix("192.168.56.250/24"), root)
	if err != nil {
		t.Fatal(err)
	}
	cl := cluster.New(t, l, base, seeds, cluster.IPv4)
	for _, h := range cl.Nodes {
		if err := h.WriteFile("/etc/apt/apt.conf.d/90lab", 0o644, proxy.AptConf()); err != nil {
			t.Fatal(err)
		}
	}
	c := boot(t, cl)
	testJob(t, c)
	for _, f := range []fault.Fault{fault.Shutdown(), fault.Reboot()} {
		t.Run(f.Title, func(t *testing.T) { c.suffer(t, f) })
	}
	t.Run("ha-agent verify at the end", func(t *testing.T) { c.verify(t) })
}
