package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestDrillDir checks that a drill removes what killed drills left, and nothing else.
func TestDrillDir(t *testing.T) {
	top, elsewhere := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", top)
	lives, removeLiving, err := drillDir()
	if err != nil {
		t.Fatal(err)
	}
	if os.TempDir() != lives {
		t.Errorf("temporary files are made in %s, want %s", os.TempDir(), lives)
	}
	t.Setenv("TMPDIR", top)
	for _, dir := range []string{"hapair-drill-dead/seeds/lb1", "hapair-other"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"hapair-drill-dead/seeds/lb1/user-data", "hapair-drill-file"} {
		if err := os.WriteFile(filepath.Join(top, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(elsewhere, filepath.Join(top, "hapair-drill-link")); err != nil {
		t.Fatal(err)
	}
	dir, remove, err := drillDir()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"hapair-drill-file", "hapair-drill-link", "hapair-other", filepath.Base(dir), filepath.Base(lives)}
	slices.Sort(want)
	if got := names(t, top); !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v", got, want)
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Errorf("a symbolic link was followed: %v", err)
	}
	remove()
	if os.TempDir() != top {
		t.Errorf("temporary files are made in %s, want %s", os.TempDir(), top)
	}
	removeLiving()
	if got := names(t, top); !slices.Equal(got, []string{"hapair-drill-file", "hapair-drill-link", "hapair-other"}) {
		t.Errorf("in the end the directory has %v", got)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
