package lab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// breakOut tries, as root of a host, to change or read the machine on which the lab runs. Each line that begins with OUT is
// an attempt that succeeded. No attempt does damage. $1 is the root disk's device number, $2 a file of the machine.
const breakOut = `
out() { echo "OUT $*"; }
same() { cat "$1" 2>/dev/null | { read -r old && echo "$old" >"$1"; } 2>/dev/null; }
attempts() {
	same /proc/sys/kernel/core_pattern && out "$1: core_pattern"
	same /proc/sys/vm/swappiness && out "$1: swappiness"
	same /proc/sys/kernel/hostname.none && out "$1: nothing"
	{ true >>/proc/sysrq-trigger; } 2>/dev/null && out "$1: sysrq-trigger"
	{ true >>/sys/kernel/uevent_helper; } 2>/dev/null && out "$1: uevent_helper"
	return 0
}
attempts plain
mount -o remount,bind,rw /proc/sys 2>/dev/null; mount -o remount,rw /proc/sys 2>/dev/null
mount -o remount,bind,rw /sys 2>/dev/null; mount -o remount,rw /sys 2>/dev/null
umount /proc/sysrq-trigger 2>/dev/null; umount -l /proc/sys 2>/dev/null
attempts remounted
mkdir -p /run/p /run/s
mount -t proc proc /run/p 2>/dev/null && same /run/p/sys/kernel/core_pattern && out "core_pattern by another proc"
mount -t sysfs sysfs /run/s 2>/dev/null && { true >>/run/s/kernel/uevent_helper; } 2>/dev/null && out "uevent_helper by another sysfs"
mknod /run/disk b ${1%:*} ${1#*:} 2>/dev/null && out "mknod"
head -c 512 /planted-disk >/dev/null 2>&1 && out "a disk's node in the image"
head -c 4 /proc/kcore >/dev/null 2>&1 && [ -s /proc/kcore ] && out "kcore"
for pid in /proc/[0-9]*; do [ -e "$pid/root$2" ] && out "$pid/root leads out"; done
cmp -s /proc/self/uid_map /proc/1/uid_map || out "another user namespace than the host's"
dmesg >/dev/null 2>&1 && out "the kernel's log"
# Of its own it may change what a load balancer needs.
echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind || echo "MISSING ip_nonlocal_bind"
ip address add 127.9.9.9/32 dev lo && ip address del 127.9.9.9/32 dev lo || echo "MISSING addresses"
mount -t tmpfs tmpfs /run/s || echo "MISSING mounts"
echo DONE
`

// Root of a host, as its systemd or as a command run in it, must have no privileges over this machine.
func TestHostileHost(t *testing.T) {
	releases := strings.Fields(os.Getenv("HAPAIR_RELEASES"))
	if len(releases) == 0 {
		releases = []string{"trixie"}
	}
	for _, release := range releases {
		t.Run(release, func(t *testing.T) { hostileHost(t, release) })
	}
}

func hostileHost(t *testing.T, release string) {
	root := labtest.Root(t, release, lab.NodePackages()...)
	l := labtest.Lab(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	base, err := l.Directory(planted(t, root))
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.AddHost(lab.HostConfig{Name: "hostile", Base: base})
	if err != nil {
		t.Fatal(err)
	}
	disk, secret := rootDisk(t), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of this machine"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := "set -- " + disk + " " + secret + "\n" + breakOut
	// netplan calls udevd, which does not run in a host.
	const noNetplan = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
	unit := "[Service]\nType=oneshot\nExecStart=/bin/sh /breakout\nStandardOutput=file:/breakout.out\n"
	for name, content := range map[string]string{"/breakout": script, "/etc/systemd/system/breakout.service": unit, "/etc/systemd/system/netplan-configure.service": noNetplan} {
		if err := h.WriteFile(name, 0o644, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	before := sysctls(t)
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.WaitRunning(ctx); err != nil {
		t.Fatal(err)
	}
	said, _, err := h.Run(ctx, "sh", "/breakout")
	if err != nil {
		t.Fatal(err)
	}
	judge(t, "a command", said)
	if _, err := h.Must(ctx, "systemctl", "start", "breakout.service"); err != nil {
		t.Fatal(err)
	}
	b, err := h.ReadFile("/breakout.out")
	if err != nil {
		t.Fatal(err)
	}
	judge(t, "a service", string(b))
	if after := sysctls(t); after != before {
		t.Errorf("this machine's settings changed from %q to %q", before, after)
	}
}

func judge(t *testing.T, who, said string) {
	t.Helper()
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "OUT ") || strings.HasPrefix(line, "MISSING ") {
			t.Errorf("%s: %s", who, strings.TrimSpace(line))
		}
	}
	if !strings.HasSuffix(said, "DONE\n") {
		t.Errorf("%s did not finish:\n%s", who, said)
	}
}

// planted returns a copy of a root, made of hard links, that contains a device node of this machine's disk.
func planted(t *testing.T, root string) string {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(root), "hostile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if out, err := exec.Command("cp", "-al", root+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(rootDisk(t), "%d:%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(dir+"/planted-disk", unix.S_IFBLK|0o666, int(unix.Mkdev(major, minor))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rootDisk returns the number of the device with this machine's root, or of its first loop device.
func rootDisk(t *testing.T) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/", &st); err != nil {
		t.Fatal(err)
	}
	if unix.Major(st.Dev) == 0 {
		return "7:0"
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
}

func sysctls(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"kernel/core_pattern", "vm/swappiness", "net/ipv4/ip_nonlocal_bind"} {
		b, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// An image with a backing file would show a file of this machine to its host.
func TestImageWithABackingFile(t *testing.T) {
	l := labtest.Lab(t)
	dir := t.TempDir()
	secret, disk := filepath.Join(dir, "secret"), filepath.Join(dir, "disk.qcow2")
	if err := os.WriteFile(secret, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err := l.Image(t.Context(), disk)
	if err == nil || !strings.Contains(err.Error(), "it is incomplete") {
		t.Errorf("error %v", err)
	}
}
