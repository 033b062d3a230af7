package e2e

import "testing"

// The two stand-ins for the releases that the project is for lie on either side of them.
func TestGoldenBookworm(t *testing.T) { testGolden(t, "bookworm") }
func TestGoldenTrixie(t *testing.T)   { testGolden(t, "trixie") }

// testGolden boots both nodes from the golden image with their seeds, and breaks them in every way.
func testGolden(t *testing.T, release string) {
	c := boot(t, build(t).Golden(t, release))
	testJob(t, c)
	testFaults(t, c)
	testEdits(t, c)
	t.Run("networkd restarts on the holder", func(t *testing.T) { networkdRestart(t, c) })
	t.Run("ha-agent verify at the end", func(t *testing.T) { c.verify(t) })
}
