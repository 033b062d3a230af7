package e2e

import (
	"path/filepath"
	"testing"

	"github.com/hapair/hapair/internal/lab/labtest"
)

// The two stand-ins for the releases that the project is for lie on either side of them.
func TestGoldenBookworm(t *testing.T) { testGolden(t, "bookworm") }
func TestGoldenTrixie(t *testing.T)   { testGolden(t, "trixie") }

// testGolden boots both nodes from the golden image with their seeds, and breaks them in every way.
func testGolden(t *testing.T, release string) {
	c := goldenCluster(t, release)
	testJob(t, c)
	testFaults(t, c)
	testEdits(t, c)
	t.Run("networkd restarts on the holder", func(t *testing.T) { networkdRestart(t, c) })
	t.Run("ha-agent verify at the end", func(t *testing.T) { c.verify(t) })
}

// goldenCluster bakes an image and boots both nodes from it.
func goldenCluster(t *testing.T, release string) *cluster {
	b := build(t)
	image, seeds := filepath.Join(b.dir, "golden.qcow2"), filepath.Join(b.dir, "seeds")
	b.run(t, "image", b.spec, "--release", release, "-o", image)
	b.run(t, "cloud-init", b.spec, "--release", release, "-o", seeds)
	l := labtest.Lab(t)
	base, err := l.Image(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, l, base, seeds)
	c.boot(t)
	return c
}
