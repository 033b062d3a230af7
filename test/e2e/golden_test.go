package e2e

import (
	"testing"

	"github.com/hapair/hapair/test/cluster"
)

// TestGolden takes the two stand-ins that lie on either side of the releases that the project is for. The older one, whose
// keepalived and kernel settings are the older ones, too, also takes a dual-stack and an IPv6-only pair.
func TestGolden(t *testing.T) {
	for i, release := range cluster.Releases(t, "bookworm", "trixie") {
		families, named := cluster.Families(t, cluster.IPv4, cluster.Dual, cluster.IPv6)
		for _, family := range families {
			if i == 0 || named || family == cluster.IPv4 {
				t.Run(release+"/"+string(family), func(t *testing.T) { testGolden(t, release, family) })
			}
		}
	}
}

// testGolden boots both nodes from the golden image with their seeds, and breaks them in every way.
func testGolden(t *testing.T, release string, family cluster.Family) {
	c := boot(t, buildFamily(t, family).Golden(t, release))
	testJob(t, c)
	if family != cluster.IPv4 {
		testFamily(t, c)
	}
	testFaults(t, c)
	testEdits(t, c)
	t.Run("networkd restarts on the holder", func(t *testing.T) { networkdRestart(t, c) })
	t.Run("ha-agent verify at the end", func(t *testing.T) { c.verify(t) })
}
