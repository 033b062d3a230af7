// Package gotool builds programs for tests: those of this project, and tools of other projects. The tools are built once from
// the Go module proxy, and are never linked.
package gotool

import (
	"encoding/json"
	"errors"
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
	return program(t, "ha-agent", flags)
}

// Bake returns the program bake, built from this source.
func Bake(t testing.TB, flags ...string) []byte {
	t.Helper()
	return program(t, "bake", flags)
}

func program(t testing.TB, name string, flags []string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	Build(t, path, append(flags, "github.com/hapair/hapair/cmd/"+name)...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Path returns the path of a program. The directory main of the module has its main package. The program is built once, and kept
// in the directory hapair of the user's cache directory, which XDG_CACHE_HOME moves.
func Path(t testing.TB, module, version, main string) string {
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
	if err := build(t, module+"@"+version, main, bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// build compiles a program with the versions and the replacements that its own go.mod names.
func build(t testing.TB, module, main, bin string) error {
	// In a module of its own, go downloads this version without adding it to the project's go.mod.
	dir := t.TempDir()
	run := func(dir string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
		out, err := cmd.Output()
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("go %s %s: %w\n%s%s", args[0], module, err, out, failed.Stderr)
		}
		return out, err
	}
	out, err := run(dir, "mod", "download", "-json", module)
	if err != nil {
		return err
	}
	var source struct{ Dir, GoMod string }
	if err := json.Unmarshal(out, &source); err != nil {
		return err
	}
	// The module's directory is read-only. go writes go.sum beside the copy of go.mod.
	requirements, err := os.ReadFile(source.GoMod)
	if err != nil {
		return err
	}
	modfile := filepath.Join(dir, "build.mod")
	if err := os.WriteFile(modfile, requirements, 0o644); err != nil {
		return err
	}
	if _, err := run(source.Dir, "build", "-mod=mod", "-modfile="+modfile, "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", bin+".new", main); err != nil {
		return err
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
