package paint

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

func TestLine(t *testing.T) {
	for line, want := range map[string]string{
		"a.yaml:3:2: error: unknown key":     bold + "a.yaml:3:2: " + reset + red + "error:" + reset + " unknown key",
		"warning: no nameserver":             yellow + "warning:" + reset + " no nameserver",
		"    port: 1":                        "    port: 1",
		"          ^":                        green + "          ^" + reset,
		"    hint: did you mean \"public\"?": "    " + cyan + "hint:" + reset + " did you mean \"public\"?",
		"ok  haproxy answers":                green + "ok  " + reset + "haproxy answers",
		"NOT haproxy answers: error: x":      red + "NOT " + reset + "haproxy answers: error: x",
		"a: b: error: no place":              "a: b: error: no place",
	} {
		if got := Line(line); got != want {
			t.Errorf("Line(%q) = %q, want %q", line, got, want)
		}
	}
}

// However the text is divided into writes, whole lines must be coloured.
func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := New(&b)
	for _, part := range []string{"NO", "T a\nok", "  b\n"} {
		if n, err := io.WriteString(w, part); n != len(part) || err != nil {
			t.Errorf("wrote %d of %d: %v", n, len(part), err)
		}
	}
	if want := red + "NOT " + reset + "a\n" + green + "ok  " + reset + "b\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestFor(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if For(file, func(string) string { return "" }) != io.Writer(file) {
		t.Error("a file is coloured")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	needs.That(t, err == nil, "there is no pseudo-terminal: %v", err)
	defer terminal.Close()
	for variable, want := range map[string]bool{"": true, "NO_COLOR": false} {
		getenv := func(name string) string {
			if name == variable {
				return "1"
			}
			return ""
		}
		if got := For(terminal, getenv) != io.Writer(terminal); got != want {
			t.Errorf("with %q, a terminal is coloured: %v", variable, got)
		}
	}
	if For(terminal, func(name string) string { return map[string]string{"TERM": "dumb"}[name] }) != io.Writer(terminal) {
		t.Error("a dumb terminal is coloured")
	}
}
