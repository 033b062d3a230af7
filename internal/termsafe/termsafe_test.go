package termsafe

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"controller_1 — läuft …":           "controller_1 — läuft …",
		"a\nok  forged":                    `a\nok  forged`,
		"\x1b[2J\x1b]0;title\a":            `\u001b[2J\u001b]0;title\u0007`,
		"\u009b31m c1":                     `\u009b31m c1`,
		"\u202eevil\u2066":                 `\u202eevil\u2066`,
		"a\rb\x00\x7f":                     `a\u000db\u0000\u007f`,
		"line\u2028separator\u200bnothing": `line\u2028separator\u200bnothing`,
		"tag \U000e0041":                   `tag \udb40\udc41`,
		"raw \x9b byte":                    "raw \ufffd byte",
		"tab\there":                        "tab here",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	long := Line(strings.Repeat("ä", MaxLine))
	if len(long) > MaxLine+10 || !strings.HasSuffix(long, "ä …") || !utf8.ValidString(long) {
		t.Errorf("a long text: %d bytes that end with %q", len(long), long[len(long)-10:])
	}
}

func TestTextIndents(t *testing.T) {
	if got, want := Text("cannot reload: a\nbake: ok\x1b[1m\n"), "cannot reload: a\n  bake: ok\\u001b[1m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A character may be written in several parts. JSON must keep its meaning.
func TestWriterKeepsJSON(t *testing.T) {
	value := "a\x1bb\u009bc\u202ed\U000e0041ä\n\"q\""
	data, err := json.MarshalIndent(map[string]string{"why": value}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := Writer(&out)
	for _, b := range data {
		if n, err := w.Write([]byte{b}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if Text(out.String()) != strings.ReplaceAll(out.String(), "\n", "\n  ") {
		t.Errorf("the output still has characters to replace: %q", out.String())
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["why"] != value {
		t.Errorf("got %q, %v; want %q", got["why"], err, value)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[2J\u202e\n\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Line(s)
		if Line(got) != got && len(got) <= MaxLine {
			t.Fatalf("Line(%q) = %q, which is not safe", s, got)
		}
		if strings.ContainsAny(got, "\n\r\x1b") || !utf8.ValidString(got) {
			t.Fatalf("Line(%q) = %q", s, got)
		}
	})
}
