package cloudinit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

func tool(t *testing.T, name string) string {
	t.Helper()
	needs.Programs(t, name)
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func stockSeed(t *testing.T) Seed {
	t.Helper()
	s, err := Generate(stockRecipe(), options(t, Stock, NoCloud))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestISOIsReproducible(t *testing.T) {
	tool(t, "xorriso")
	first, err := ISO(context.Background(), stockSeed(t))
	if err != nil {
		t.Fatal(err)
	}
	// Another umask, folder and time must not change the bytes.
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TZ", "Asia/Tokyo")
	second, err := ISO(context.Background(), stockSeed(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("equal seeds give different volumes")
	}
	changed := stockSeed(t)
	changed.UserData = append(changed.UserData, '\n')
	if third, err := ISO(context.Background(), changed); err != nil || bytes.Equal(first, third) {
		t.Errorf("another seed gives the same volume, or fails: %v", err)
	}
}

func TestISOContent(t *testing.T) {
	xorriso := tool(t, "xorriso")
	dir := t.TempDir()
	s := stockSeed(t)
	iso, err := ISO(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "seed.iso")
	if err := os.WriteFile(path, iso, 0o600); err != nil {
		t.Fatal(err)
	}
	// The label is in the primary volume descriptor: sector 16, byte 40 (ECMA-119, 8.4).
	if label := strings.TrimRight(string(iso[16*2048+40:16*2048+72]), " "); label != "CIDATA" {
		t.Errorf("label %q", label)
	}
	out, err := exec.Command(xorriso, "-no_rc", "-report_about", "WARNING", "-osirrox", "on", "-indev", path, "-extract", "/", filepath.Join(dir, "content")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range s.Files() {
		got, err := os.ReadFile(filepath.Join(dir, "content", f.Name))
		if err != nil || !bytes.Equal(got, f.Content) {
			t.Errorf("%s differs (%v)", f.Name, err)
		}
		if info, err := os.Stat(filepath.Join(dir, "content", f.Name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v (%v)", f.Name, info.Mode(), err)
		}
	}
}

func TestISOWithoutXorriso(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	_, err := Write(context.Background(), dir, []NodeSeed{{Node: "n", Seed: stockSeed(t)}})
	if !errors.Is(err, ErrNoXorriso) || !strings.Contains(err.Error(), "apt-get install xorriso") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v behind", left)
	}
}

func TestWrite(t *testing.T) {
	tool(t, "xorriso")
	dir := t.TempDir()
	write := func(s Seed) map[string]int {
		written, err := Write(context.Background(), dir, []NodeSeed{{Node: "node_1", Seed: s}})
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[string]int{}
		for _, w := range written {
			sizes[filepath.Base(w.Path)] = w.Size
		}
		return sizes
	}
	s := stockSeed(t)
	if sizes := write(s); sizes["user-data"] != len(s.UserData) || sizes["seed.iso"] == 0 || len(sizes) != 4 {
		t.Errorf("wrote %v", sizes)
	}
	for name, mode := range map[string]os.FileMode{"user-data": 0o600, "seed.iso": 0o600, "meta-data": 0o644, "network-config": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, "node_1", name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v (%v)", name, info, err)
		}
	}
	// What an earlier run left would be taken for part of this one.
	golden, err := Generate(nodeRecipe(), options(t, Golden, "ec2"))
	if err != nil {
		t.Fatal(err)
	}
	write(golden)
	left, err := os.ReadDir(filepath.Join(dir, "node_1"))
	if err != nil || len(left) != 1 || left[0].Name() != "user-data" {
		t.Errorf("left %v (%v)", left, err)
	}
}
