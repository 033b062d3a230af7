package packertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// tool is a program that is built from the Go module proxy.
type tool struct{ module, version string }

// cached is the path of a tool, which is built where the cache has none. The cache is the project's own in the user's
// cache directory; XDG_CACHE_HOME moves that.
func cached(t testing.TB, name string, want tool) string {
	t.Helper()
	root, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("cannot find a place for the cache: %v; set XDG_CACHE_HOME", err)
	}
	dir := filepath.Join(root, "hapair", name+"-"+want.version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// Tests of several packages run at the same time, and one build is enough.
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	bin := filepath.Join(dir, name)
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	t.Logf("building %s %s, once, for %s", want.module, want.version, bin)
	if err := build(t, want, bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// build compiles the tool in a module of its own, because its requirements are nobody else's business. The replacement
// is what makes Packer and its SDK compile: they need a go-cty that still encodes with gob.
func build(t testing.TB, want tool, bin string) error {
	dir := t.TempDir()
	module := fmt.Sprintf("module scratch\n\ngo 1.25\n\nrequire %s %s\n\nreplace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3\n", want.module, want.version)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin+".new", want.module)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", want.module, err, out)
	}
	return os.Rename(bin+".new", bin)
}

// lock waits for a file's lock and returns what lets go of it.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
