package e2e

import (
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// goldenRun is a pair of a release and an address family, with the extent of its tests.
type goldenRun struct {
	release string
	family  cluster.Family
	whole   bool // all faults and edits; otherwise a few
}

// goldenRuns returns all tests for noble, the default release, and in the wide tier what differs on the others: bookworm has the
// oldest keepalived and the oldest kernel settings of systemd, which matter most for IPv6; trixie has a networkd that removes
// foreign addresses. test/matrix tests all faults and edits with pairs of the other families.
func goldenRuns(t *testing.T) []goldenRun {
	families, familiesNamed := cluster.Families(t, cluster.IPv4)
	releases := cluster.Releases(t)
	if releases == nil && !familiesNamed {
		runs := []goldenRun{{"noble", cluster.IPv4, true}}
		if needs.Wide(t) {
			runs = append(runs, goldenRun{"bookworm", cluster.Dual, false}, goldenRun{"bookworm", cluster.IPv6, false},
				goldenRun{"trixie", cluster.IPv4, false})
		}
		return runs
	}
	var runs []goldenRun
	for _, release := range cluster.Releases(t, "noble") {
		for _, family := range families {
			runs = append(runs, goldenRun{release, family, true})
		}
	}
	return runs
}

// TestGolden boots both nodes from the golden image with their seeds, and causes faults.
func TestGolden(t *testing.T) {
	type key struct {
		release  string
		firewall bool // of a pair with IPv6: see buildFamily
	}
	images := map[key]string{} // all address families use the same image, because an image has no addresses
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
	t.Run("drivers", func(t *testing.T) { drivers(t, c.Nodes["controller-1"]) })
	if run.family != cluster.IPv4 {
		testFamily(t, c)
	}
	faults := []fault.Fault{fault.HAProxyDead(), fault.KeepalivedStopped(), fault.Reboot()}
	if run.whole {
		testEdits(t, c)
		// test/matrix causes the others.
		faults = []fault.Fault{fault.KeepalivedStopped(), fault.Shutdown(), fault.PowerCut(), fault.Reboot()}
		if needs.Wide(t) {
			faults = cluster.Faults()
		}
	}
	for _, f := range faults {
		t.Run(f.Title, func(t *testing.T) { c.suffer(t, f) })
	}
	if run.whole && run.family == cluster.IPv4 {
		testMove(t, c)
	}
	t.Run("networkd restarts on the holder", func(t *testing.T) { networkdRestart(t, c) })
	t.Run("ha-agent verify at the end", func(t *testing.T) { c.verify(t) })
}

// drivers checks that the image's kernel has the drivers that docs/machines.md names. Hosts of the lab do not use them.
func drivers(t *testing.T, h *lab.Host) {
	const missing = `for driver; do modinfo -k "$(ls /lib/modules)" "$driver" >/dev/null 2>&1 || echo "$driver"; done`
	out, err := h.Must(t.Context(), "sh", "-c", missing, "sh",
		"ahci", "ata_piix", "sr_mod", "isofs", // a CD drive with the seed
		"virtio_blk", "virtio_scsi", "vmw_pvscsi", "hv_storvsc",
		"virtio_net", "vmxnet3", "hv_netvsc", "e1000", "e1000e")
	if err != nil || out != "" {
		t.Errorf("the kernel has no drivers %q (%v)", out, err)
	}
}
