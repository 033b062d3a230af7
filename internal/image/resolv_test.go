package image

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

// Name resolution must work while an image is open, whatever its /etc/resolv.conf is, and afterwards that must be unchanged.
func TestResolver(t *testing.T) {
	const ours = "nameserver 192.0.2.1\n"
	file := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) { write(t, path, content) }
	}
	link := func(target string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			_ = os.Remove(path) // it may not exist
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	none := func(*testing.T, string) {}
	stub := "../run/systemd/resolve/stub-resolv.conf"
	for name, c := range map[string]struct {
		before, meanwhile func(*testing.T, string)
		want              string // a link's target after "->", a file's content, or "gone"
	}{
		"file":                     {file("nameserver 192.0.2.9\n"), none, "nameserver 192.0.2.9\n"},
		"empty file":               {file(""), none, ""},
		"none":                     {none, none, "gone"},
		"link of systemd-resolved": {link(stub), none, "->" + stub},
		"dangling link":            {link("/run/resolvconf/resolv.conf"), none, "->/run/resolvconf/resolv.conf"},
		"a package makes a link":   {file("old\n"), link(stub), "->" + stub},
		"a package writes a file":  {file("old\n"), file("new\n"), "new\n"},
	} {
		t.Run(name, func(t *testing.T) {
			needs.Lab(t)
			top := t.TempDir()
			if err := os.Mkdir(filepath.Join(top, "etc"), 0o755); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(top, "etc/resolv.conf")
			c.before(t, path)
			dir, err := os.Open(top)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			r := &resolver{root: root{dir}, content: []byte(ours)}
			if err := r.set(); err != nil {
				t.Fatal(err)
			}
			if got := seen(t, r.root); got != ours {
				t.Errorf("while it is open: %q", got)
			}
			c.meanwhile(t, path)
			if err := r.restore(); err != nil {
				t.Fatal(err)
			}
			if got := lies(t, path); got != c.want {
				t.Errorf("afterwards: %q, want %q", got, c.want)
			}
		})
	}
}

// seen returns the content that a program in the image reads.
func seen(t *testing.T, r root) string {
	t.Helper()
	f, err := r.readFile(resolvConf)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 100)
	n, err := f.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func lies(t *testing.T, path string) string {
	t.Helper()
	if target, err := os.Readlink(path); err == nil {
		return "->" + target
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
