package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, root, path, content string, mode os.FileMode) {
	t.Helper()
	at := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestList(t *testing.T) {
	root := t.TempDir()
	put(t, root, "/etc/os-release", "ID=ubuntu\nVERSION_CODENAME=noble\n", 0o644)
	put(t, root, "/var/lib/dpkg/status", "Package: haproxy\nStatus: install ok installed\nVersion: 2.8.5-1\nArchitecture: amd64\n\n"+
		"Package: vim\nStatus: install ok installed\nVersion: 9\nArchitecture: amd64\n\n", 0o644)
	put(t, root, "/etc/haproxy/haproxy.cfg", "global\n", 0o640)
	put(t, root, "/etc/haproxy/a.pem", "-----BEGIN PRIVATE KEY-----\n", 0o644)
	put(t, root, "/etc/haproxy/users", "u:p\n", 0o640)
	put(t, root, "/etc/apt/x", "x\n", 0o644)
	put(t, root, "/etc/big", strings.Repeat("x", MaxShown+1), 0o644)
	paths := []string{"/etc/haproxy/haproxy.cfg", "/etc/haproxy/a.pem", "/etc/haproxy/users", "/etc/apt/x", "/etc/big", "/etc/none", "/etc"}
	inv, err := List(root, Request{paths, []string{"haproxy", "nftables"}})
	if err != nil {
		t.Fatal(err)
	}
	if inv.Release != "noble" || len(inv.Packages) != 1 || inv.Packages["haproxy"] != "2.8.5-1" {
		t.Errorf("release %q, packages %v", inv.Release, inv.Packages)
	}
	shown := map[string]bool{"/etc/haproxy/haproxy.cfg": true, "/etc/apt/x": true}
	for i, f := range inv.Files {
		if f.Path != paths[i] || f.Shown != shown[f.Path] || f.Shown != (f.Content != nil) {
			t.Errorf("file %+v, want the content only of files that may be shown", f)
		}
		if read := f.Path != "/etc/none" && f.Path != "/etc"; read != (len(f.Digest) == 64) {
			t.Errorf("%s has the digest %q", f.Path, f.Digest)
		}
	}
	if !inv.Files[5].Missing || inv.Files[6].Why == "" {
		t.Errorf("a missing file: %+v; a directory: %+v", inv.Files[5], inv.Files[6])
	}
}

func TestListRefuses(t *testing.T) {
	for name, req := range map[string]Request{
		"a relative path": {Paths: []string{"etc/passwd"}},
		"dots":            {Paths: []string{"/etc/../etc/passwd"}},
		"too many":        {Paths: make([]string, MaxPaths+1)},
	} {
		if _, err := List(t.TempDir(), req); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
