package machine

import (
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// TestGoldenBoots boots the golden image of the default release with its seed, as a machine with UEFI. The node must verify
// itself. It is the shortest of the tests of `make test-qemu`.
func TestGoldenBoots(t *testing.T) {
	needs.Emulation(t)
	Need(t, UEFI)
	w := newWorld(t, twoSegments())
	for _, release := range cluster.Releases(t, "noble") {
		w.machines(t, release, w.Image(t, release), UEFI, 1)
		w.boot(t, w.nodes[0])
		w.nodes[0].Kill()
	}
}

// boot starts a node, waits until it has booted, and verifies it. It returns the boot's ID.
func (w *world) boot(t *testing.T, n *node) string {
	t.Helper()
	start := time.Now()
	n.Start(t)
	id := w.booted(t, n, "")
	w.verify(t, n)
	t.Logf("%s by %s: verify is ok %v after power on", n.name, n.Firmware, time.Since(start).Round(time.Second))
	return id
}

// verify runs ha-agent verify on a node.
func (w *world) verify(t *testing.T, n *node) {
	t.Helper()
	w.must(t, n, "ha-agent verify")
}

// TestQEMUBoots boots each release's golden image with each firmware. The machine must be started by its firmware, mount the
// EFI system partition, grow its root file system, and boot again after a kernel package has updated grub's configuration.
func TestQEMUBoots(t *testing.T) {
	needs.Emulation(t)
	w := newWorld(t, twoSegments())
	for _, release := range cluster.Releases(t, "noble", "resolute", "jammy", "trixie", "bookworm") {
		image := w.Image(t, release)
		for _, firmware := range []Firmware{UEFI, BIOS, Secure} {
			t.Run(release+"/"+string(firmware), func(t *testing.T) {
				Need(t, firmware)
				w.machines(t, release, image, firmware, 1)
				n := w.nodes[0]
				first := w.boot(t, n)
				w.checkMachine(t, n)
				w.upgradeKernel(t, n, first)
				n.Kill()
			})
		}
	}
}

// checkMachine checks that the system uses the machine's firmware and disk.
func (w *world) checkMachine(t *testing.T, n *node) {
	t.Helper()
	got := w.must(t, n, `
if [ -d /sys/firmware/efi ]; then echo uefi; else echo bios; fi
findmnt -n -o FSTYPE,LABEL /boot/efi
df --output=size -BG / | tail -n 1`)
	lines := strings.Split(got, "\n")
	kind := "uefi"
	if n.Firmware == BIOS {
		kind = "bios"
	}
	if len(lines) != 3 || lines[0] != kind || strings.Join(strings.Fields(lines[1]), " ") != "vfat UEFI" {
		t.Errorf("%s, with firmware %s: got %q, want %s, vfat UEFI and a size", n.name, n.Firmware, lines, kind)
	} else if size := strings.TrimSpace(lines[2]); size < "5G" {
		t.Errorf("%s: the size of the root is %s on a disk of %s", n.name, size, diskSize)
	}
	if n.Firmware != Secure {
		return
	}
	// The last byte of the variable is its value: UEFI 2.10, 3.3.
	if got := w.must(t, n, `od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c`); strings.TrimSpace(got) != "1" {
		t.Errorf("%s: SecureBoot is %q, want 1", n.name, got)
	}
}

// upgradeKernel runs the hooks of the kernel's package again, as an upgrade does, with an addition to the kernel's command
// line. The next boot must have the addition.
func (w *world) upgradeKernel(t *testing.T, n *node, before string) {
	t.Helper()
	start := time.Now()
	w.mustWithin(t, hooksLimit, n, `echo 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX hapair.upgraded"' >/etc/default/grub.d/90_test.cfg
DEBIAN_FRONTEND=noninteractive dpkg-reconfigure "linux-image-$(uname -r)" >/dev/null
dpkg --triggers-only --pending # Ubuntu's kernels call their hooks by a trigger
grep -q hapair.upgraded /boot/grub/grub.cfg
`+reboot)
	w.booted(t, n, before)
	w.must(t, n, "grep -qw hapair.upgraded /proc/cmdline")
	w.verify(t, n)
	t.Logf("%s: the kernel's hooks and the next boot took %v", n.name, time.Since(start).Round(time.Second))
}
