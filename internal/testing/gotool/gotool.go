// Package gotool builds programs for tests: those of this project, and tools of other projects. The tools are built once from
// the Go module proxy, and are never linked.
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

// Build runs go build with flags and packages, and writes the program to path, or the programs if path ends with "/". They are
// static, so that they run in the root of any release.
func Build(t testing.TB, path string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-trimpath", "-o", path}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", args, err, out)
	}
}

// Agent returns the program ha-agent, built from this source.
func Agent(t testing.TB, flags ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ha-agent")
	Build(t, path, append(flags, "github.com/hapair/hapair/cmd/ha-agent")...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Path returns the path of a program whose main package is the root of a module. It is built if the cache does not have it.
// The cache is in the user's cache directory, which XDG_CACHE_HOME can change.
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
	// Tests of several packages run at the same time; only one of them must build.
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

// build compiles the program in a separate module, because its requirements must not become those of this project. The
// replacement is necessary for Packer and its SDK: they need a go-cty that still encodes with gob.
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

// lock waits for the lock of a file, and returns the function that releases it.
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
