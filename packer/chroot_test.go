package packer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/packertest"
	"github.com/hapair/hapair/internal/version"
	labcluster "github.com/hapair/hapair/test/cluster"
)

// chroot bakes golden images from bootstrapped bases with the builder hapair-chroot.
func (w *world) chroot(t *testing.T) {
	labtest.Need(t)
	for i, release := range labcluster.Sample(t, "trixie", "noble", "resolute", "jammy", "bookworm") {
		t.Run(release, func(t *testing.T) {
			spec := cluster(t)
			dir := w.write(t, spec, "hapair-chroot", "--release", release)
			w.shareBases(t, dir)
			if i == 0 {
				t.Run("interrupt", func(t *testing.T) { w.interrupt(t, dir) })
				t.Run("failing step", func(t *testing.T) { w.failingStep(t, spec, dir) })
			}
			t.Run("build", func(t *testing.T) { w.chrootBuild(t, dir, release) })
		})
	}
}

// shareBases makes the build use the same cache of bootstrapped bases as the project's other tests.
func (w *world) shareBases(t *testing.T, dir string) {
	t.Helper()
	cache, err := lab.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	build := filepath.Join(dir, "build.pkr.hcl")
	with := strings.Replace(read(t, build), `format      = "qcow2"`, `format = "qcow2"`+"\n  cache_dir = \""+cache+`"`, 1)
	writeFile(t, build, with)
}

func (w *world) chrootBuild(t *testing.T, dir, release string) {
	start := time.Now()
	out := w.must(t, dir, "build", ".")
	t.Logf("packer build with hapair-chroot took %v", time.Since(start).Round(100*time.Millisecond))
	for _, want := range []string{"verify the image", "check the seal", "controllers-" + release + ".qcow2 (" + release + ", qcow2,"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not contain %q:\n%s", want, out)
		}
	}
	checkManifest(t, filepath.Join(dir, "controllers-"+release+".qcow2.json"), release)
	// An existing image must not be replaced, unless Packer runs with -force.
	again, err := w.packer(t, dir, "build", ".")
	if err == nil || !strings.Contains(again, "the file already exists") {
		t.Errorf("got %v:\n%s", err, again)
	}
}

// failingStep checks that a failed step fails the build, shows its output, and leaves no image.
func (w *world) failingStep(t *testing.T, spec, dir string) {
	good := read(t, spec)
	writeFile(t, spec, strings.Replace(good, "packages: [tcpdump]", "packages: [no-such-package]", 1))
	defer writeFile(t, spec, good)
	out, err := w.packer(t, dir, "build", ".")
	if err == nil {
		t.Fatal("the build succeeded")
	}
	for _, want := range []string{"cannot install packages", "cannot install no-such-package: the archive has no package of this name"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not contain %q:\n%s", want, out)
		}
	}
	templateAlone(t, dir)
}

// checkManifest checks that a manifest contains the image's packages, the added files, and the spec.
func checkManifest(t *testing.T, path, release string) {
	t.Helper()
	var m image.Manifest
	if err := json.Unmarshal([]byte(read(t, path)), &m); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/usr/bin/ha-agent", "/etc/haproxy/haproxy.cfg", "/etc/sysctl.d/60-hapair.conf"} {
		if m.Files[file].Digest == "" {
			t.Errorf("the manifest does not contain %s", file)
		}
	}
	for file := range m.Files {
		if strings.HasPrefix(file, "/tmp/") {
			t.Errorf("the manifest contains the temporary file %s", file)
		}
	}
	if m.Version != version.Version {
		t.Errorf("the manifest has version %q, want %q", m.Version, version.Version)
	}
	if m.Release != release || m.Packages["haproxy"] == "" || m.Packages["keepalived"] == "" || m.Inputs["spec"] == "" {
		t.Errorf("the manifest has release %q, haproxy %q, keepalived %q, spec %q", m.Release, m.Packages["haproxy"], m.Packages["keepalived"], m.Inputs["spec"])
	}
}

// interrupt checks that a build that is interrupted leaves nothing behind.
func (w *world) interrupt(t *testing.T, dir string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := packertest.Command(ctx, t, w.env, dir, "build", ".")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := false
	var all strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&all, lines.Text())
		if !told && strings.Contains(lines.Text(), "read the package lists") {
			told = true
			cancel()
		}
	}
	if err := cmd.Wait(); err == nil || !told {
		t.Errorf("got %v, interrupted: %v\n%s", err, told, all.String())
	}
	templateAlone(t, dir)
	if mounts := read(t, "/proc/self/mounts"); strings.Contains(mounts, dir) {
		t.Errorf("file systems are still mounted:\n%s", mounts)
	}
	// The plugin's process must be gone too.
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range commands {
		if command, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(command), pluginPath(w.env)) {
			t.Errorf("%s is still running: %q", name, command)
		}
	}
}

// pluginPath returns the folder for the test's Packer plugins.
func pluginPath(env []string) string {
	path := ""
	for _, setting := range env {
		if value, ok := strings.CutPrefix(setting, "PACKER_PLUGIN_PATH="); ok {
			path = value
		}
	}
	return path
}

func templateAlone(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v (%v), want only the template", entries, err)
	}
}
