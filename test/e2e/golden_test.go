package e2e

import (
	"testing"

	"github.com/hapair/hapair/test/cluster"
)

// goldenRun is a pair of a release and an address family, and how much it goes through.
type goldenRun struct {
	release string
	family  cluster.Family
	whole   bool // all faults and edits; otherwise a few
}

// goldenRuns are noble, the default release, in whole, and what differs on the others: bookworm has the oldest keepalived and
// kernel settings of systemd, which matter most to IPv6; trixie has a networkd that removes foreign addresses. All faults
// and edits on pairs of the other families are rows of test/matrix.
func goldenRuns(t *testing.T) []goldenRun {
	families, familiesNamed := cluster.Families(t, cluster.IPv4)
	releases := cluster.Releases(t)
	if releases == nil && !familiesNamed {
		return []goldenRun{
			{"noble", cluster.IPv4, true},
			{"bookworm", cluster.Dual, false},
			{"bookworm", cluster.IPv6, false},
			{"trixie", cluster.IPv4, false},
		}
	}
	var runs []goldenRun
	for _, release := range cluster.Releases(t, "noble") {
		for _, family := range families {
			runs = append(runs, goldenRun{release, family, true})
		}
	}
	return runs
}

// TestGolden boots both nodes from the golden image with their seeds, and breaks them.
func TestGolden(t *testing.T) {
	type key struct {
		release  string
		firewall bool // of a pair with IPv6: see buildFamily
	}
	images := map[key]string{} // address families share an image: it has no addresses
	for _, run := range goldenRuns(t) {
		b := buildFamily(t, run.family)
		t.Run(run.release+"/"+string(run.family), func(t *testing.T) {
			k := key{run.release, run.family != cluster.IPv4}
			if images[k] == "" {
				images[k] = b.Image(t, run.release)
			}
			testGolden(t, boot(t, b.Nodes(t, run.release, images[k])), run)
		})
	}
}

func testGolden(t *testing.T, c controllers, run goldenRun) {
	testJob(t, c)
	if run.family != cluster.IPv4 {
		testFamily(t, c)
	}
	if run.whole {
		testFaults(t, c)
		testEdits(t, c)
	} else {
		for _, name := range []string{"haproxy killed, its unit masked", "keepalived stopped", "node rebooted"} {
			t.Run(name, func(t *testing.T) { c.suffer(t, faultNamed(t, name)) })
		}
	}
	t.Run("networkd restarts on the holder", func(t *testing.T) { networkdRestart(t, c) })
	t.Run("ha-agent verify at the end", func(t *testing.T) { c.verify(t) })
}
