package e2e

import (
	"testing"

	"github.com/hapair/hapair/test/cluster"
)

// TestGolden takes the two stand-ins that lie on either side of the releases that the project is for.
func TestGolden(t *testing.T) {
	for _, release := range cluster.Releases(t, "bookworm", "trixie") {
		t.Run(release, func(t *testing.T) { testGolden(t, release) })
	}
}

// testGolden boots both nodes from the golden image with their seeds, and breaks them in every way.
func testGolden(t *testing.T, release string) {
	c := boot(t, build(t).Golden(t, release))
	testJob(t, c)
	testFaults(t, c)
	testEdits(t, c)
	t.Run("networkd restarts on the holder", func(t *testing.T) { networkdRestart(t, c) })
	t.Run("ha-agent verify at the end", func(t *testing.T) { c.verify(t) })
}
