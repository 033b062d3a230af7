package adopt

import (
	"bytes"
	"flag"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

var update = flag.Bool("update", false, "rewrite the specs and reports that the tests expect")

// pairOf returns the nodes of an archive: haproxy.cfg and keepalived.conf, or those in a folder for each node. Other files
// below etc are those of the first node.
func pairOf(a *txtar.Archive) []Node {
	var nodes []Node
	files := map[string][]byte{}
	for _, f := range a.Files {
		files["/"+f.Name] = f.Data
	}
	read := func(p string) []byte { return files[p] }
	glob := func(pattern string) []string {
		var out []string
		for _, f := range a.Files {
			if match, err := path.Match(pattern, "/"+f.Name); err == nil && match {
				out = append(out, "/"+f.Name)
			}
		}
		return out
	}
	find := func(name string) *Node {
		for i := range nodes {
			if nodes[i].Name == name {
				return &nodes[i]
			}
		}
		nodes = append(nodes, Node{Name: name, Read: read, Glob: glob})
		return &nodes[len(nodes)-1]
	}
	for _, f := range a.Files {
		dir, base := filepath.Split(f.Name)
		dir = strings.TrimSuffix(dir, "/")
		switch base {
		case "haproxy.cfg":
			find(dir).HAProxy = File{f.Name, string(f.Data)}
		case "keepalived.conf":
			find(dir).Keepalived = File{f.Name, string(f.Data)}
		}
	}
	return nodes
}

func load(t *testing.T, r *Result) (*spec.Spec, diag.Problems) {
	t.Helper()
	return spec.Parse("spec.yaml", r.Spec, spec.Sources{ReadFile: func(name string) ([]byte, error) {
		for _, f := range r.Files {
			if f.Name == name {
				return f.Data, nil
			}
		}
		return nil, os.ErrNotExist
	}})
}

func render(t *testing.T, s *spec.Spec) string {
	t.Helper()
	rel, err := release.Get(s.Image.Release)
	if err != nil {
		t.Fatal(err)
	}
	out, err := haproxycfg.Render(s, &s.Nodes[0], rel.HAProxy)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// pairs returns the paths of the pairs of testdata.
func pairs(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("Glob = %v, %v, want the pairs of testdata", names, err)
	}
	return names
}

// imported imports a pair of testdata, whose spec must be valid.
func imported(t *testing.T, name string) (*txtar.Archive, *Result, *spec.Spec) {
	t.Helper()
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(pairOf(a), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, problems := load(t, r)
	if problems.HasErrors() {
		t.Fatal(problems.Err())
	}
	return a, r, s
}

// TestImport imports the pairs of testdata. Each spec is valid, and makes a haproxy.cfg that does the same as the old one.
// An archive whose comment has "not whole" has lines that cannot be taken.
func TestImport(t *testing.T) {
	for _, name := range pairs(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { importPair(t, name) })
	}
}

func importPair(t *testing.T, name string) {
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(pairOf(a), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, problems := load(t, r)
	for _, p := range problems {
		if p.Severity == diag.Error {
			t.Errorf("the spec is not valid: %s\n%s", p, p.Source)
		}
	}
	if t.Failed() {
		t.Fatalf("the spec:\n%s", r.Spec)
	}
	proof := r.Prove(render(t, s))
	if !proof.Equal {
		t.Errorf("the rendered file does not do the same: %+v", proof.Differences)
	}
	if whole := !strings.Contains(string(a.Comment), "not whole"); whole == r.Has(Lost) {
		t.Errorf("%s: something was lost: %t, want %t", name, r.Has(Lost), !whole)
	}
	var report bytes.Buffer
	r.Print(&report, proof)
	for out, data := range map[string][]byte{"spec.yaml": r.Spec, "report": report.Bytes()} {
		golden(t, name, a, out, data)
	}
}

// golden compares a file of an archive, or rewrites it.
func golden(t *testing.T, name string, a *txtar.Archive, file string, data []byte) {
	t.Helper()
	for i := range a.Files {
		if a.Files[i].Name != file {
			continue
		}
		if !bytes.Equal(a.Files[i].Data, data) && !*update {
			t.Errorf("%s of %s is\n%s\nwant\n%s", file, name, data, a.Files[i].Data)
		}
		a.Files[i].Data = data
		data = nil
		break
	}
	if data != nil {
		a.Files = append(a.Files, txtar.File{Name: file, Data: data})
		if !*update {
			t.Errorf("%s has no %s", name, file)
		}
	}
	if *update {
		if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCompareFindsEveryLine takes each line out of the rendered frontends and backends that the old file has, too, and
// expects the proof to notice.
func TestCompareFindsEveryLine(t *testing.T) {
	tried := 0
	for _, name := range pairs(t) {
		_, r, s := imported(t, name)
		lines := strings.Split(render(t, s), "\n")
		proxy := false
		for i, l := range lines {
			tokens, _ := cut(l)
			if len(tokens) == 0 {
				continue
			}
			if !strings.HasPrefix(l, " ") {
				proxy = (tokens[0].text == "listen" || tokens[0].text == "frontend" || tokens[0].text == "backend") && tokens[1].text != "hapair-stats"
				continue
			}
			if !proxy || harmless(l) {
				continue
			}
			without := strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "\n")
			tried++
			if r.Prove(without).Equal {
				t.Errorf("%s: the proof does not notice that this line is missing: %s", name, l)
			}
		}
	}
	if tried < 25 {
		t.Errorf("%d lines were tried, want at least 25", tried)
	}
}

// harmless reports whether a line may be missing: haproxy does the same without it, or only logs otherwise.
func harmless(l string) bool {
	l = strings.TrimSpace(l)
	for _, same := range []string{"option httplog", "option tcplog", "mode tcp", "balance roundrobin", "http-check expect status 200-399", "option dontlognull", "option idle-close-on-response",
		"http-check send meth OPTIONS uri / ver HTTP/1.0"} {
		if l == same {
			return true
		}
	}
	return false
}
