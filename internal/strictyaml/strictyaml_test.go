package strictyaml

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/diag"
)

// sample is the type into which the tests decode.
type sample struct {
	Name   string         `yaml:"name"`
	Flag   bool           `yaml:"flag"`
	Port   int            `yaml:"port"`
	Wait   time.Duration  `yaml:"wait"`
	Addr   netip.Addr     `yaml:"addr"`
	Nets   []netip.Prefix `yaml:"nets" strictyaml:"one"`
	Free   map[string]any `yaml:"free"`
	Items  []item         `yaml:"items"`
	Stats  *item          `yaml:"stats"`
	Own    own            `yaml:"own"`
	Hidden string         `yaml:"-"`
}

type item struct {
	Name     string `yaml:"name"`
	Port     int    `yaml:"port"`
	Password own    `yaml:"password"`
}

// own is a type that decodes itself.
type own struct{ text string }

func (o *own) DecodeYAML(n *Node) {
	text, ok := n.Text()
	if !ok {
		n.Problem("must be a word", "")
	}
	o.text = text
}

func TestDecode(t *testing.T) {
	var got sample
	doc := Decode("f.yaml", []byte(`name: "ä b"
flag: true
port: 80
wait: 1m30s
addr: 2001:db8::1
nets: 192.0.2.0/24
items: &items
  - {name: a, port: 1}
  - name: b
stats: {name: s, password: word}
own: text
free:
  a: [1, -2, 1.5, true, null, x, "yes", yes, off, 2001-01-01]
  b: {c: *items}
`), &got)
	if ps := doc.Problems(); len(ps) > 0 {
		t.Fatalf("unexpected problems:\n%v", ps)
	}
	items := []any{map[string]any{"name": "a", "port": 1}, map[string]any{"name": "b"}}
	want := sample{
		Name: "ä b", Flag: true, Port: 80, Wait: 90 * time.Second,
		Addr: netip.MustParseAddr("2001:db8::1"), Nets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Items: []item{{Name: "a", Port: 1}, {Name: "b"}},
		Stats: &item{Name: "s", Password: own{"word"}},
		Own:   own{"text"},
		Free: map[string]any{
			"a": []any{1, -2, 1.5, true, nil, "x", "yes", true, false, "2001-01-01"},
			"b": map[string]any{"c": items},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for path, has := range map[string]bool{"": true, "nets": true, "items[1].name": true, "items[1].port": false, "nets[0]": false} {
		if doc.Has(path) != has {
			t.Errorf("Has(%q) is %t", path, !has)
		}
	}
}

// A file made on Windows, with a byte order mark and CRLF.
func TestDecodeOfWindows(t *testing.T) {
	var got sample
	doc := Decode("f.yaml", []byte("\ufeffname: a\r\nport: x\r\n"), &got)
	ps := doc.Problems()
	if len(ps) != 1 || ps[0].Line != 2 || ps[0].Column != 7 || ps[0].Source != "port: x" || got.Name != "a" {
		t.Errorf("decoded %+v and %+v", got, ps)
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"key near":           {"nmae: a", `1:1 nmae: unknown key (did you mean "name"?)`},
		"key far":            {"stats: {colour: a}", "1:9 stats.colour: unknown key (known here: name, port, password)"},
		"duplicate":          {"name: a\nport: 1\nname: b", "3:1 name: duplicate key (the other is on line 1)"},
		"duplicate in free":  {"free: {a: 1, a: 2}", "1:14 free.a: duplicate key (the other is on line 1)"},
		"string":             {"name: 5", "1:7 name: must be a string, not the number 5 (put it in quotes)"},
		"string of date":     {"name: 2001-01-01", "1:7 name: must be a string, not the date 2001-01-01 (put it in quotes)"},
		"bool":               {"flag: on", `1:7 flag: must be true or false, not "on" (write true)`},
		"int":                {`port: "80"`, `1:7 port: must be a whole number, not "80" (write it without quotes)`},
		"int too large":      {"port: 9999999999", "1:7 port: 9999999999 is out of range ()"},
		"octal":              {"port: 010", "1:7 port: must be a whole number, not the number 010 (write it with decimal digits only, without a leading 0)"},
		"float":              {"port: 1.5", "1:7 port: must be a whole number, not the number 1.5 ()"},
		"duration":           {"wait: 5", "1:7 wait: must be a duration, not the number 5 (write it with its unit, as 250ms or 1s)"},
		"address":            {"addr: 192.0.2.256", `1:7 addr: "192.0.2.256" is not understood (write an IP address, as 192.0.2.1 or 2001:db8::1)`},
		"list":               {"items: a", `1:8 items: must be a list, not "a" ()`},
		"mapping":            {"stats: [a]", "1:8 stats: must be a mapping, not a list ()"},
		"in a list":          {"items:\n  - name: a\n  - port: b", `3:11 items[1].port: must be a whole number, not "b" ()`},
		"null":               {"name:\nport: 1", "1:6 name: has no value (give it one, or leave the key out)"},
		"null in free":       {"free: {a: }", ""},
		"own":                {"own: [a]", "1:6 own: must be a word ()"},
		"key of free":        {"free: {1: a}", "1:8 free: the key 1 is not a string (put it in quotes)"},
		"list as a key":      {"free: {[a]: b}", "1:8 free: a key must be a string ()"},
		"octal in free":      {"free: {mode: 0640}", "1:14 free.mode: the number 0640 is ambiguous (put it in quotes, or write it in decimal digits without a leading 0)"},
		"infinite in free":   {"free: {a: .nan}", "1:11 free.a: the number .nan is not taken (put it in quotes)"},
		"tag":                {"name: !!binary aGk=", "1:7 name: tags such as !!str are not supported (remove the tag; put text in quotes)"},
		"own tag":            {"free: {a: !vault x}", "1:11 free.a: tags such as !!str are not supported (remove the tag; put text in quotes)"},
		"merge key":          {"stats: {<<: {port: 1}}", "1:9 stats: merge keys (<<) are not supported (write the keys out)"},
		"column":             {`stats: {"nämé": ü, port: ö}`, `1:9 stats.nämé: unknown key (known here: name, port, password) 1:26 stats.port: must be a whole number, not "ö" ()`},
		"wide characters":    {`stats: {name: "日本語😀", port: x}`, `1:29 stats.port: must be a whole number, not "x" ()`},
		"unknown anchor":     {"name: *a", "1:1 : not YAML: an alias names an anchor that is not defined (put a value that begins with * in quotes)"},
		"unclosed":           {"name: a\nport: [1", "2:1 : not YAML: did not find expected ',' or ']' ()"},
		"bad block":          {"items:\n  - name: a\n    port: 1\n  - name: b\n   port: 2\n", "5:1 : not YAML: did not find expected '-' indicator ()"},
		"bad block, nested":  {"stats:\n  name: a\n  port: 1\n name: b\n", "4:1 : not YAML: did not find expected key ()"},
		"no mapping value":   {"name: a: b", "1:1 : not YAML: mapping values are not allowed in this context ()"},
		"tab":                {"stats:\n\tname: a", "2:1 : not YAML: found character that cannot start any token (indent with spaces)"},
		"empty":              {"", "1:1 : the file is empty ()"},
		"white space":        {" \n\n", "1:1 : the file is empty ()"},
		"only dashes":        {"---\n", "1:1 : the file is empty ()"},
		"scalar":             {"hello", `1:1 : the file must be a mapping ()`},
		"several":            {"name: a\n---\nname: b", "2:1 : the file contains more than one document (keep only the part before this ---)"},
		"several, broken":    {"name: a\n---\n[", "3:1 : not YAML: did not find expected node content ()"},
		"not UTF-8":          {"name: \xff", "1:7 : byte 0xff is not UTF-8 (save the file as UTF-8)"},
		"UTF-16":             {"\xff\xfen\x00", "1:1 : byte 0xff is not UTF-8 (save the file as UTF-8)"},
		"control character":  {"name: ä\nport: \x1b[31m", "2:7 : control character U+001B (remove it)"},
		"carriage return":    {"name: a\rport: 1", "1:8 : control character U+000D (remove it)"},
		"right to left":      {"name: a\u202eb", "1:8 : control character U+202E (remove it)"},
		"line separator":     {"name: a\u2028b", "1:8 : control character U+2028 (remove it)"},
		"long key":           {"free: {" + strings.Repeat("k", 257) + ": 1}", "1:8 free: a key has at most 256 bytes ()"},
		"long value":         {"port: " + strings.Repeat("x", 500), `1:7 port: must be a whole number, not "` + strings.Repeat("x", 60) + `…" ()`},
		"long address":       {"addr: " + strings.Repeat("1", 300), "1:7 addr: has 300 bytes; at most 256 are allowed ()"},
		"several at once":    {"nmae: a\nport: x", `1:1 nmae: unknown key (did you mean "name"?) 2:7 port: must be a whole number, not "x" ()`},
		"hidden":             {"hidden: a", "1:1 hidden: unknown key (known here: name, flag, port, wait, addr, nets, free, items, stats, own)"},
		"scalar for a list":  {"nets: [192.0.2.0/24, x]", `1:22 nets[1]: "x" is not understood (write a network, as 192.0.2.0/24 or 2001:db8::/64)`},
		"mapping for scalar": {"addr: {}", "1:7 addr: must be text, not a mapping ()"},
	} {
		t.Run(name, func(t *testing.T) {
			var v sample
			var got []string
			for _, p := range Decode("f.yaml", []byte(c.text), &v).Problems() {
				got = append(got, fmt.Sprintf("%d:%d %s: %s (%s)", p.Line, p.Column, p.Path, p.Message, p.Hint))
			}
			if joined := strings.Join(got, " "); joined != c.want {
				t.Errorf("got  %s\nwant %s", joined, c.want)
			}
		})
	}
}

func TestProblemAtPath(t *testing.T) {
	var v sample
	doc := Decode("f.yaml", []byte("name: a\nitems:\n  - name: b\n    port: 1\n"), &v)
	for path, want := range map[string]string{
		"items[0].port":     "4:11",
		"items[0].password": "3:5",
		"items[7].port":     "3:3",
		"stats.port":        "1:1",
		"":                  "1:1",
	} {
		p := doc.find(path)
		if got := fmt.Sprintf("%d:%d", p.line, p.column); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
	doc.Problem("items[0].port", "bad", "better")
	doc.Warning("name", "odd", "")
	want := diag.Problems{
		{Severity: diag.Warning, File: "f.yaml", Line: 1, Column: 7, Path: "name", Message: "odd", Source: "name: a"},
		{Severity: diag.Error, File: "f.yaml", Line: 4, Column: 11, Path: "items[0].port", Message: "bad", Hint: "better", Source: "    port: 1"},
	}
	if got := doc.Problems(); !reflect.DeepEqual(got, want) {
		t.Errorf("problems %+v", got)
	}
	if !doc.HasError("items[0].port") || doc.HasError("name") {
		t.Error("the document has an error, or a warning counts as one")
	}
}

// A nil document accepts problems and drops them.
func TestNilDocument(t *testing.T) {
	var doc *Document
	doc.Problem("a", "b", "c")
	doc.Warning("a", "b", "c")
	if doc.Has("a") || doc.HasError("a") || doc.Problems() != nil || !doc.Unreadable() || doc.Line("a") != 1 {
		t.Error("a nil document is not empty")
	}
	var n *Node
	n.Problem("a", "b")
	if _, ok := n.Text(); ok || n.IsMapping() || n.Keys() != nil || n.Path() != "" {
		t.Error("a nil node is not empty")
	}
}

func TestErrorsAreKeptAmongWarnings(t *testing.T) {
	var v sample
	doc := Decode("f.yaml", []byte("name: a"), &v)
	for range maxProblems {
		doc.Warning("name", "odd", "")
	}
	if doc.Problem("name", "bad", ""); !doc.Problems().HasErrors() {
		t.Error("an error after the limit of problems is lost")
	}
}
