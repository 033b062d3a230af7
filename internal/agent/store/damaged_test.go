package store

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

var when = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

const suffix = ".damaged-20260301T100000.000000000Z"

func TestDamagedManifestIsSetAside(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"empty":   func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"cut off": func(p string) error { return os.Truncate(p, 20) },
		"newer":   func(p string) error { return os.WriteFile(p, []byte(`{"version": 2}`), 0o600) },
		"without digests": func(p string) error {
			return os.WriteFile(p, []byte(`{"version": 1, "targets": {"haproxy": {"files": [{"path": "/h"}]}}}`), 0o600)
		},
		"a directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"a FIFO":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"huge":        func(p string) error { return os.Truncate(p, 1<<30) },
	} {
		s := open(t)
		g := good(1, "/h", "one")
		if err := s.Commit(map[string]Good{"haproxy": g}); err != nil {
			t.Fatal(err)
		}
		manifest := s.good("manifest.json")
		if strings.HasPrefix(name, "a ") {
			if err := os.Remove(manifest); err != nil {
				t.Fatal(err)
			}
		}
		if err := damage(manifest); err != nil {
			t.Fatal(err)
		}
		found, err := s.SetAside(when)
		if err != nil || len(found) != 1 || !strings.HasSuffix(found[0].Error(), "set aside as "+s.good()+suffix) || !strings.Contains(found[0].Error(), "manifest.json") {
			t.Fatalf("%s: Open = %v, %v", name, found, err)
		}
		if goods, err := s.Goods(); len(goods) != 0 || err != nil {
			t.Errorf("%s: the store is not empty: %v, %v", name, goods, err)
		}
		// The next commit must not delete the damaged files either.
		if err := s.Commit(map[string]Good{"haproxy": good(2, "/h", "two")}); err != nil {
			t.Fatalf("%s: commit: %v", name, err)
		}
		if b, err := os.ReadFile(filepath.Join(s.good()+suffix, g.Files[0].Digest)); string(b) != "one" {
			t.Errorf("%s: the damaged files were deleted: %q, %v", name, b, err)
		}
		if found, err := s.SetAside(when); found != nil || err != nil {
			t.Errorf("%s: opening the repaired store: %v, %v", name, found, err)
		}
	}
}

func TestDamagedStateIsSetAside(t *testing.T) {
	s := open(t)
	for _, path := range []string{s.journal(), s.begun(), s.staged()} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := s.SetAside(when)
	if err != nil || len(found) != 3 {
		t.Fatalf("files set aside: %v, %v", found, err)
	}
	if err := s.Append(journal.Change{Number: 1}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(s.staged(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	// a file with this name exists already
	if found, err := s.SetAside(when); err == nil || found != nil {
		t.Errorf("the second time, files set aside: %v, %v", found, err)
	}
	if found, err := s.SetAside(when.Add(time.Second)); err != nil || len(found) != 1 {
		t.Errorf("the third time, files set aside: %v, %v", found, err)
	}
}
