package strictyaml

import (
	"strings"
	"testing"
	"unicode"
)

func FuzzDecode(f *testing.F) {
	for _, text := range hostile() {
		if len(text) < 1<<10 {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte("name: ä\nfree: {a: [1, *x]}\nstats: {password: hunter2}\n"))
	f.Add([]byte("a: &a\n  - *a\n---\n\t- b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v sample
		lines := strings.Count(string(data), "\n") + 1
		for _, p := range Decode("f.yaml", data, &v).Problems() {
			if p.Line < 1 || p.Line > lines || p.Column < 1 || p.Message == "" {
				t.Fatalf("a problem without its place: %+v", p)
			}
			if strings.ContainsFunc(p.Source, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
				t.Fatalf("a line with control characters: %q", p.Source)
			}
		}
	})
}
