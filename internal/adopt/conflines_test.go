package adopt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfLines reads a keepalived.conf in a folder, whose files include others, themselves and each other.
func TestConfLines(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"haproxy.cfg":                    "listen a\n",
		"keepalived/keepalived.conf":     "$NET=192.0.2\n$TWO= \\\n  one $NET.1 \\\n  two ${NET}.2\ninclude *.conf\ninclude conf.d/*.conf\n$TWO\n@lb1 mine\n@^lb1 others\n@(lb1|lb3) some\n$(date) $UNKNOWN\ninclude gone.conf\n",
		"keepalived/conf.d/a.conf":       "a\ninclude b.conf\n",
		"keepalived/conf.d/b.conf":       "b\ninclude /etc/keepalived/conf.d/a.conf\n",
		"keepalived/conf.d/ignored.text": "no\n",
	} {
		file := filepath.Join(dir, "lb1", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	nodes, err := Load([]string{filepath.Join(dir, "lb1")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range nodes[0].confLines() {
		got = append(got, l.text)
	}
	const want = "a|b|b|a|one 192.0.2.1|two 192.0.2.2|mine|some|$(date) $UNKNOWN|include gone.conf"
	if strings.Join(got, "|") != want {
		t.Errorf("the lines are %q, want %q", strings.Join(got, "|"), want)
	}
	if files := nodes[0].Files(); string(files["/etc/keepalived/conf.d/b.conf"]) == "" || len(files) != 4 {
		t.Errorf("the files are %q", files)
	}
}
