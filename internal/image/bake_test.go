package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/version"
)

// put returns the work of a bake that writes one file.
func put(content string) func(context.Context, *Machine) error {
	return func(ctx context.Context, m *Machine) error {
		return m.Upload(ctx, "/etc/motd", 0o640, strings.NewReader(content))
	}
}

func bake(t *testing.T, o Options, work func(context.Context, *Machine) error) Manifest {
	t.Helper()
	m, err := Bake(context.Background(), o, work)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Files written to a qcow2 image must be in a raw image converted from it, and vice versa.
func TestFormatsRoundTrip(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	o.Format = QCOW2
	m := bake(t, o, put("one\n"))
	// printf 'one\n' | sha256sum
	const digest = "sha256:2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
	if m.Files["/etc/motd"] != (File{digest, "0640", "root", "root"}) || m.Size != toySize || m.Format != QCOW2 || m.Release != "trixie" {
		t.Errorf("manifest: %+v", m)
	}
	magic, err := os.ReadFile(o.Output)
	if err != nil || !bytes.HasPrefix(magic, []byte(qcow2Magic)) {
		t.Fatalf("%s is not a qcow2 image: %v", o.Output, err)
	}

	again := toyOptions(t, o.Output)
	again.Size = 2 * toySize
	if m := bake(t, again, func(context.Context, *Machine) error { return nil }); m.Size != 2*toySize {
		t.Errorf("size %d", m.Size)
	}
	dir := filepath.Join(t.TempDir(), "root")
	if err := Extract(context.Background(), again.Output, dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "etc/motd"))
	if err != nil || string(got) != "one\n" {
		t.Errorf("/etc/motd is %q, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "etc/motd")); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if id, err := os.ReadFile(filepath.Join(dir, "etc/machine-id")); err != nil || len(id) > 0 {
		t.Errorf("machine-id is %q, %v", id, err)
	}
	if err := Extract(context.Background(), again.Output, dir); err == nil {
		t.Error("an image was extracted to a directory that is not empty")
	}
}

func TestManifestIsReproducible(t *testing.T) {
	base := toyBase(t)
	var manifests [2][]byte
	for i := range manifests {
		o := toyOptions(t, base)
		bake(t, o, put("same\n"))
		b, err := os.ReadFile(o.Output + ".json")
		if err != nil {
			t.Fatal(err)
		}
		digest := `"image": "sha256:` + sumOf(t, o.Output) + `",`
		if !bytes.Contains(b, []byte(digest)) || !bytes.Contains(b, []byte(`"hapair": "`+version.Version+`"`)) {
			t.Errorf("the manifest lacks %s or the version:\n%s", digest, b)
		}
		software := `"sbom": "sha256:` + sumOf(t, SoftwarePath(o.Output)) + `",`
		if !bytes.Contains(b, []byte(software)) {
			t.Errorf("the manifest lacks %s:\n%s", software, b)
		}
		manifests[i] = bytes.Replace(bytes.Replace(b, []byte(digest), nil, 1), []byte(software), nil, 1)
	}
	if !bytes.Equal(manifests[0], manifests[1]) {
		t.Errorf("manifests differ:\n%s\n%s", manifests[0], manifests[1])
	}
}

func sumOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// If a bake fails, an older image with the same name must remain unchanged.
func TestFailureLeavesTheOldImage(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	write(t, o.Output, "old")
	_, err := Bake(context.Background(), o, func(ctx context.Context, m *Machine) error {
		return m.Run(ctx, "exit 7", nil)
	})
	if err == nil || !strings.Contains(err.Error(), "status 7") {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(o.Output); err != nil || string(b) != "old" {
		t.Errorf("the content of the old image is %q, %v", b, err)
	}
	if err := os.Remove(o.Output); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, filepath.Dir(o.Output))
}

func TestInterruptLeavesNothing(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := Bake(ctx, o, func(ctx context.Context, m *Machine) error {
		// A process that has left its parent must be killed too; otherwise the image cannot be unmounted.
		return m.Run(ctx, "(trap '' TERM INT HUP; sleep 1000) & echo begun; sleep 1000", writerFunc(func() { cancel() }))
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	wantEmpty(t, filepath.Dir(o.Output))
}

type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) { f(); return len(p), nil }

// Processes that a command leaves running must be killed when it ends.
func TestLeftoversAreKilled(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	bake(t, o, func(ctx context.Context, m *Machine) error {
		if err := m.Run(ctx, "sleep 1000 >/dev/null 2>&1 & echo $! >/etc/left", nil); err != nil {
			return err
		}
		return m.Run(ctx, `for p in /proc/[0-9]*; do case $(readlink $p/exe) in */sleep) exit 1 ;; esac; done`, nil)
	})
}

// killed is an environment variable with the base image for the bake in TestKilledBaker's child process.
const killed = "HAPAIR_TEST_KILLED_BASE"

func TestMain(m *testing.M) {
	base := os.Getenv(killed)
	if base == "" {
		os.Exit(m.Run())
	}
	o := Options{Base: base, Format: Raw, CacheDir: os.Getenv(killed + "_CACHE"), Output: os.Getenv(killed + "_OUTPUT")}
	o.Release.Name = "trixie"
	_, err := Bake(context.Background(), o, func(ctx context.Context, m *Machine) error {
		return m.Run(ctx, "echo begun; sleep 1000", os.Stdout)
	})
	if err != nil {
		os.Stderr.WriteString(err.Error())
	}
	os.Exit(1)
}

// After SIGKILL, bake cannot clean up; the kernel must do it.
func TestKilledBaker(t *testing.T) {
	base := toyBase(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killed+"="+base, killed+"_CACHE="+t.TempDir(), killed+"_OUTPUT="+filepath.Join(dir, "out.img"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatalf("the bake did not begin: %v %s", err, stderr.String())
	}
	if len(loopsOn(t, dir)) == 0 {
		t.Error("the test does not find the loop device while the image is open, so it would not find a leftover")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for deadline := time.Now().Add(10 * time.Second); len(loopsOn(t, dir)) > 0 && time.Now().Before(deadline); {
		<-time.After(20 * time.Millisecond)
	}
	wantEmpty(t, dir)
}

func TestFullDisk(t *testing.T) {
	base := toyBase(t)
	o := toyOptions(t, base)
	dir := smallTmpfs(t, "4m")
	o.Output = filepath.Join(dir, "out.img")
	_, err := Bake(context.Background(), o, put("never"))
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("error %v", err)
	}
	wantEmpty(t, dir)
}
