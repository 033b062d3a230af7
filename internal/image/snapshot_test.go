package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/archive"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/needs"
)

func TestParseSnapshot(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"2026-01-31": "20260131T000000Z", "2026-01-31T12:30:00Z": "20260131T123000Z", "2026-01-31T01:00:00+02:00": "20260130T230000Z",
		"20260131T123000Z": "20260131T123000Z", "2026-11-26T12:00:00Z": "20261126T120000Z",
	} {
		if got, err := ParseSnapshot(s, Bootstrap, now); err != nil || got != want {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"now", "2026-02-30", "2026-11-27", "2026-11-26T12:00:01Z", "20260131", "../x"} {
		if got, err := ParseSnapshot(s, Bootstrap, now); err == nil {
			t.Errorf("%q: %s", s, got)
		}
	}
}

// Each release has snapshots of its suites, with the layout of the distribution's own server.
func TestSnapshotSuites(t *testing.T) {
	for name, want := range map[string]string{
		"noble": `deb [check-valid-until=no] http://snapshot.ubuntu.com/ubuntu/20260131T000000Z noble main universe
deb [check-valid-until=no] http://snapshot.ubuntu.com/ubuntu/20260131T000000Z noble-updates main universe
deb [check-valid-until=no] http://snapshot.ubuntu.com/ubuntu/20260131T000000Z noble-security main universe
`,
		"trixie": `deb [check-valid-until=no] http://snapshot.debian.org/archive/debian/20260131T000000Z trixie main
deb [check-valid-until=no] http://snapshot.debian.org/archive/debian/20260131T000000Z trixie-updates main
deb [check-valid-until=no] http://snapshot.debian.org/archive/debian-security/20260131T000000Z trixie-security main
`,
	} {
		r, err := release.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Release: r, Snapshot: "20260131T000000Z"}
		all, options := o.suites()
		if got := archive.AptSources(all, r, options); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

// mirror is an archive with Debian's layout and one package in two snapshots: version 1 in January, version 2 in February.
// Its package lists were valid for one day.
type mirror struct {
	dir, keyring string
	gpg          []string
}

var snapshots = map[string]string{"20260131T000000Z": "1", "20260228T000000Z": "2"}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	needs.Programs(t, "gpg", "dpkg-deb", "mmdebstrap")
	m := &mirror{dir: t.TempDir()}
	home, err := os.MkdirTemp("", "gpg") // the path of gpg's socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	m.gpg = []string{"--batch", "--quiet", "--homedir", home}
	m.keyring = filepath.Join(m.dir, "keyring.gpg")
	m.run(t, "gpg", append(m.gpg, "--passphrase", "", "--quick-generate-key", "test@example.org", "rsa2048", "sign", "never")...)
	m.run(t, "gpg", append(m.gpg, "--output", m.keyring, "--export")...)
	for snapshot, version := range snapshots {
		m.suite(t, "debian/"+snapshot, "trixie", version)
		m.suite(t, "debian-security/"+snapshot, "trixie-security", "")
	}
	return m
}

func (m *mirror) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// suite writes a suite. It contains the package hapair-toy if a version is given.
func (m *mirror) suite(t *testing.T, at, name, version string) {
	t.Helper()
	archive := filepath.Join(m.dir, at)
	lists := filepath.Join(archive, "dists", name, "main/binary-amd64")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		t.Fatal(err)
	}
	packages := ""
	if version != "" {
		tree := t.TempDir()
		if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
			t.Fatal(err)
		}
		control := "Package: hapair-toy\nVersion: " + version + "\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: toy\n"
		write(t, filepath.Join(tree, "DEBIAN/control"), control)
		write(t, filepath.Join(tree, "version"), version)
		deb := filepath.Join(archive, "toy.deb")
		m.run(t, "dpkg-deb", "--root-owner-group", "--build", tree, deb)
		b, err := os.ReadFile(deb)
		if err != nil {
			t.Fatal(err)
		}
		packages = control + fmt.Sprintf("Filename: toy.deb\nSize: %d\nSHA256: %x\n\n", len(b), sha256.Sum256(b))
	}
	write(t, filepath.Join(lists, "Packages"), packages)
	release := fmt.Sprintf("Suite: %s\nCodename: %s\nDate: Sat, 31 Jan 2026 00:00:00 UTC\nValid-Until: Sun, 01 Feb 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n %x %d main/binary-amd64/Packages\n",
		name, name, sha256.Sum256([]byte(packages)), len(packages))
	dist := filepath.Join(archive, "dists", name)
	write(t, filepath.Join(dist, "Release"), release)
	m.run(t, "gpg", append(m.gpg, "--output", filepath.Join(dist, "InRelease"), "--clearsign", filepath.Join(dist, "Release"))...)
}

// Packages come from the requested snapshot, although its package lists have expired.
func TestSnapshotOfAMirror(t *testing.T) {
	needs.Lab(t)
	m := newMirror(t)
	server := httptest.NewServer(http.FileServer(http.Dir(m.dir)))
	t.Cleanup(server.Close)
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]bool{}
	for snapshot, version := range snapshots {
		o := Options{Release: r, Base: Bootstrap, Mirror: server.URL + "/debian", Snapshot: snapshot, CacheDir: t.TempDir()}
		b, err := newBootstrapper(t.Context(), &o)
		if err != nil {
			t.Fatal(err)
		}
		digests[b.digest()] = true
		dir := filepath.Join(t.TempDir(), "root")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "mmdebstrap", "--mode=root", "--variant=extract", "--architectures=amd64", "--keyring="+m.keyring, "--include=hapair-toy", r.Name, dir, "-")
		cmd.Stdin = strings.NewReader(b.sources)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, b.sources, out)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "version")); err != nil || string(got) != version {
			t.Errorf("snapshot %s has version %q, %v", snapshot, got, err)
		}
	}
	if len(digests) != len(snapshots) {
		t.Error("two snapshots use the same base")
	}
	o := Options{Release: r, Base: Bootstrap, Mirror: server.URL + "/debian", Snapshot: "20250101T000000Z", CacheDir: t.TempDir()}
	if _, err := newBootstrapper(t.Context(), &o); err == nil || !strings.Contains(err.Error(), "20250101T000000Z: HTTP status 404") {
		t.Errorf("a snapshot that the archive does not have: %v", err)
	}
}

// A node must get its updates from the current archive, and not from the snapshot from which its image was made.
func TestSnapshotIsNotKept(t *testing.T) {
	o := toyOptions(t, toyBase(t, func(dir string) {
		if err := os.MkdirAll(filepath.Join(dir, "etc/apt"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, aptSourcesPath), "deb http://snapshot.debian.org/archive/debian/20260131T000000Z trixie main\n")
	}))
	w, err := Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.o.Snapshot = "20260131T000000Z"
	m, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.Snapshot != "20260131T000000Z" || m.Files[aptSourcesPath].Digest == "" {
		t.Errorf("manifest: %+v", m)
	}
	dir := filepath.Join(t.TempDir(), "root")
	if err := Extract(t.Context(), o.Output, dir); err != nil {
		t.Fatal(err)
	}
	const want = "deb http://deb.debian.org/debian trixie main\ndeb http://deb.debian.org/debian trixie-updates main\ndeb http://deb.debian.org/debian-security trixie-security main\n"
	if got, err := os.ReadFile(filepath.Join(dir, aptSourcesPath)); err != nil || string(got) != want {
		t.Errorf("sources: %q, %v", got, err)
	}
}
