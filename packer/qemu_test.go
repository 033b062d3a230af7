package packer

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/testing/packertest"
)

// emulation skips the test unless the qemu tier is chosen. It fails if QEMU is missing.
func emulation(t *testing.T) {
	t.Helper()
	needs.Emulation(t)
	labtest.Need(t)
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Fatalf("%v: apt-get install qemu-system-x86", err)
	}
}

// TestPackerQEMU bakes a golden image with Packer's own builder for QEMU, from a bootstrapped base and under software
// emulation, because KVM is not available everywhere.
func TestPackerQEMU(t *testing.T) {
	emulation(t)
	w := newWorld(t)
	packertest.Qemu(t, w.env)
	spec := cluster(t)
	base := filepath.Join(filepath.Dir(spec), "base.qcow2")
	bootstrap(t, base)
	dir := w.write(t, spec, "qemu", "--release", "trixie")
	settings := []string{"-var", "base=" + base, "-var", "base_checksum=none", "-var", "accelerator=tcg", "-var", "disk_size=2G"}
	w.must(t, dir, append(append([]string{"validate"}, settings...), ".")...)
	start := time.Now()
	out := w.must(t, dir, append(append([]string{"build"}, settings...), ".")...)
	t.Logf("packer build with qemu under emulation took %v", time.Since(start).Round(time.Second))
	if !strings.Contains(out, "check the seal") {
		t.Errorf("the output does not contain the seal:\n%s", out)
	}
	root := filepath.Join(t.TempDir(), "root")
	if err := image.Extract(t.Context(), filepath.Join(dir, "controllers-trixie", "controllers-trixie.qcow2"), root); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, filepath.Join(root, "usr/bin/ha-agent")), read(t, w.agent); got != want {
		t.Errorf("the agent has %d bytes, want %d", len(got), len(want))
	}
	for _, name := range []string{"root/.ssh/authorized_keys", "var/lib/systemd/random-seed", "var/lib/cloud/instance", "var/log/journal"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("the image has /%s", name)
		}
	}
	for _, pattern := range []string{"etc/ssh/ssh_host_*", "tmp/packer-hapair.*"} {
		if left, err := filepath.Glob(filepath.Join(root, pattern)); err != nil || left != nil {
			t.Errorf("the image has %v (%v)", left, err)
		}
	}
	if id := read(t, filepath.Join(root, "etc/machine-id")); id != "" {
		t.Errorf("the image's machine-id is %q", id)
	}
}

// bootstrap makes a base image that contains nothing of hapair.
func bootstrap(t *testing.T, output string) {
	t.Helper()
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := lab.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	o := image.Options{Release: r, Base: image.Bootstrap, Output: output, CacheDir: cache}
	if _, err := image.Bake(t.Context(), o, func(context.Context, *image.Machine) error { return nil }); err != nil {
		t.Fatal(err)
	}
}
