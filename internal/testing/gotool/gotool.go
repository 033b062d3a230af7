// Package gotool gives tests other people's programs: built from the Go module proxy, once, and run as tools, never linked.
package gotool

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/needs"
)

// Path of a program whose main package is that of a module, which is built where the cache has none. The cache is the
// project's own in the user's cache directory; XDG_CACHE_HOME moves that.
func Path(t testing.TB, module, version string) string {
	t.Helper()
	needs.Programs(t)
	root, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("cannot find a place for the cache: %v; set XDG_CACHE_HOME", err)
	}
	name := path.Base(module)
	dir := filepath.Join(root, "hapair", name+"-"+version)
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
	t.Logf("building %s %s, once, for %s", module, version, bin)
	if err := build(t, module, version, bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// build compiles the program in a module of its own, because its requirements are nobody else's business. The replacement
// is what makes Packer and its SDK compile: they need a go-cty that still encodes with gob.
func build(t testing.TB, module, version, bin string) error {
	dir := t.TempDir()
	content := fmt.Sprintf("module scratch\n\ngo 1.25\n\nrequire %s %s\n\nreplace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3\n", module, version)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(content), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin+".new", module)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", module, err, out)
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
