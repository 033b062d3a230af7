package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "haproxy.cfg")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	for _, content := range []string{"one\n", "", "two\n"} {
		if err := WriteFile(path, []byte(content), 0o644, Keep, os.Getgid()); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Fatalf("read %q, %v; want %q", got, err, content)
		}
		fi, err := os.Stat(path)
		if err != nil || fi.Mode().Perm() != 0o644 {
			t.Fatalf("mode %v, %v; want 0644", fi.Mode(), err)
		}
	}
	if names := list(t, dir); len(names) != 1 {
		t.Fatalf("left behind: %v", names)
	}
}

func TestWriteFileReplacesLink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	link := filepath.Join(dir, "link")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("new"), 0o600, Keep, Keep); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(victim); string(got) != "untouched" {
		t.Fatalf("the link was followed: %q", got)
	}
}

func TestWriteFileFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "missing", "f")
	err := WriteFile(path, []byte("x"), 0o600, Keep, Keep)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want that it does not exist", err)
	}
	if strings.Count(err.Error(), path) != 1 {
		t.Fatalf("the path is not named exactly once: %v", err)
	}

	// A directory with the target's name cannot be replaced by a file. The temporary file must be removed.
	taken := filepath.Join(dir, "taken")
	if err := os.Mkdir(taken, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(taken, []byte("x"), 0o600, Keep, Keep); err == nil {
		t.Fatal("a directory was replaced")
	}
	if names := list(t, dir); len(names) != 1 {
		t.Fatalf("left behind: %v", names)
	}
}

func TestRenameAndRemove(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := WriteFile(from, []byte("x"), 0o600, Keep, Keep); err != nil {
		t.Fatal(err)
	}
	if err := Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if err := Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want that it does not exist", err)
	}
	for range 2 {
		if err := Remove(to); err != nil {
			t.Fatal(err)
		}
	}
	if names := list(t, dir); len(names) != 0 {
		t.Fatalf("left: %v", names)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
