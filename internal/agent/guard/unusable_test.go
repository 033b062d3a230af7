package guard

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hapair/hapair/internal/testing/unusable"
)

func TestGuardReplacesIrregularFile(t *testing.T) {
	for name, put := range unusable.Kinds {
		t.Run(name, func(t *testing.T) {
			for _, certificate := range []bool{false, true} {
				g := newGuarded(t)
				g.prove("haproxy")
				path := g.conf
				if certificate {
					path = g.cert
				}
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				unusable.Within(t, func() {
					if err := g.of("haproxy").BeforeReload(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
						t.Errorf("BeforeReload: %v, want an error that names %s", err, path)
					}
					if err := g.of("haproxy").BeforeStart(t.Context()); err != nil {
						t.Error(err)
					}
				})
				g.want(path, "good")
				if a := g.aside(); len(a) != 1 || !strings.HasPrefix(a[0], path) {
					t.Errorf("files set aside: %v, want one", a)
				}
			}
		})
	}
}

func TestTargetHasIncludesOfIncludes(t *testing.T) {
	g := newGuarded(t)
	dir := filepath.Dir(g.keep)
	g.put(g.keep, "include a.conf\n", 0o600)
	g.put(filepath.Join(dir, "a.conf"), "include sub/*.conf\ninclude a.conf\n", 0o600)
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.put(filepath.Join(dir, "sub", "b.conf"), "include c.conf\n", 0o600)
	c := filepath.Join(dir, "sub", "c.conf")
	if err := syscall.Mkfifo(c, 0o600); err != nil {
		t.Fatal(err)
	}
	unusable.Within(t, func() {
		if err := g.of("keepalived").BeforeReload(t.Context()); err == nil || !strings.Contains(err.Error(), c+": is a FIFO") {
			t.Errorf("BeforeReload: %v, want that %s is a FIFO", err, c)
		}
	})
}
