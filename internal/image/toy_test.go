package image

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/needs"
)

// toyTools returns the programs that the scripts of a bake use. They are copied from this machine, with their libraries.
func toyTools() []string {
	return []string{"sh", "cat", "chmod", "chown", "find", "grep", "ln", "mkdir", "rm", "mv", "sleep", "truncate", "readlink", "stat", "ls", "cut", "sort", "tar", "dpkg-deb"}
}

const toySize = 128 << 20

// toyBase makes a disk that is partitioned like a bootstrapped one, with a minimal system that has a shell. Tests that use
// it run in parallel, because most of their time they wait for the disk.
func toyBase(t *testing.T, more ...func(dir string)) string {
	t.Helper()
	needs.Lab(t)
	t.Parallel()
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "base.raw")
	disk, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := format(ctx, disk, toySize, strings.Repeat("0123456789abcdef", 4)); err != nil {
		t.Fatal(err)
	}
	parts, err := partitions(ctx, disk)
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOpened(disk, parts)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.mountNew(); err != nil {
		t.Fatal(err)
	}
	// The tree is created outside and copied with tar, because the test's thread does not see the mount.
	tree := toyTree(t)
	for _, f := range more {
		f(tree)
	}
	tar, err := exec.Command("tar", "-C", tree, "-cf", "-", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	unpack := exec.Command("tar", "-C", rootDir, "-xpf", "-")
	unpack.Stdin = bytes.NewReader(tar)
	if err := o.run(unpack); err != nil {
		t.Fatal(err)
	}
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func toyTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	for _, dir := range []string{"bin", "etc/ssh", "dev", "proc", "run", "sys", "tmp", "root", "home", "var/log", "var/lib", "usr/sbin"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(tree, "etc/os-release"), "ID=debian\nVERSION_CODENAME=trixie\n")
	write(t, filepath.Join(tree, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")
	// An apt-get that only unpacks a package: it has no database, and runs no maintainer scripts.
	write(t, filepath.Join(tree, "bin/apt-get"), "#!/bin/sh\nset -eu\nfor package; do :; done\n[ \"$package\" != clean ] || exit 0\ndpkg-deb --fsys-tarfile \"$package\" | tar -x -C /\n")
	if err := os.Chmod(filepath.Join(tree, "bin/apt-get"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(tree, "etc/group"), "root:x:0:\n")
	write(t, filepath.Join(tree, "etc/machine-id"), "0123456789abcdef0123456789abcdef\n")
	for _, name := range toyTools() {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		copyFile(t, path, filepath.Join(tree, "bin", name))
		out, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.Fields(string(out)) {
			if filepath.IsAbs(word) {
				copyFile(t, word, filepath.Join(tree, word))
			}
		}
	}
	return tree
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// toyOptions returns options that bake the base to a file in a new empty directory.
func toyOptions(t *testing.T, base string) Options {
	t.Helper()
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Release: r, Base: base, Format: Raw, CacheDir: t.TempDir(),
		Output: filepath.Join(t.TempDir(), "out.img"), Inputs: map[string]string{"spec": "sha256:00"},
	}
}

// wantEmpty checks that a directory is empty, and that no loop device uses a file in it.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left in %s", e.Name(), dir)
	}
	for _, left := range loopsOn(t, dir) {
		t.Errorf("a loop device is left: %s", left)
	}
}

// loopsOn returns the backing files of loop devices that are in dir.
func loopsOn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		// A device may disappear between the two reads.
		if b, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(b), dir+"/") {
			found = append(found, strings.TrimSpace(string(b)))
		}
	}
	return found
}

// smallTmpfs mounts a file system that is full after a few bytes.
func smallTmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}
