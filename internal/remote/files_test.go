package remote

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"etc/haproxy/haproxy.cfg": "global\n", "etc/haproxy/maps/a.map": "a b\n", "etc/keepalived/keepalived.conf": "! none\n"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/nowhere", filepath.Join(dir, "etc/haproxy/broken")); err != nil {
		t.Fatal(err)
	}
	archive, err := exec.CommandContext(t.Context(), "tar", "-C", dir, "-cf", "-", "etc/haproxy", "etc/keepalived").Output()
	needs.That(t, err == nil, "tar does not run: %v", err)
	if err := os.WriteFile(filepath.Join(dir, "archive"), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	fakeSSH(t, `echo "$*" >`+dir+`/args; cat `+dir+`/archive; exit 1`) // tar could not read a file
	files, err := (&Login{User: "ops"}).Files(t.Context(), node, "/etc/haproxy", "/etc/keepalived")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 || string(files["/etc/haproxy/maps/a.map"]) != "a b\n" {
		t.Errorf("Files = %q, want three files", files)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(args); !strings.Contains(s, "-l ops -- 192.0.2.11 if") || !strings.Contains(s, "etc/haproxy etc/keepalived") || strings.Contains(s, "ha-agent") {
		t.Errorf("ssh was run with %q", s)
	}

	fakeSSH(t, `echo "sudo: a password is required" >&2; exit 1`)
	if _, err := (&Login{}).Files(t.Context(), node, "/etc/haproxy"); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("Files without sudo: %v, want the reason", err)
	}
	fakeSSH(t, `exit 0`)
	if _, err := (&Login{}).Files(t.Context(), node, "/etc/haproxy"); err == nil || !strings.Contains(err.Error(), "none of the files") {
		t.Errorf("Files of a machine without files: %v, want that there are none", err)
	}
}
