package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
)

// Where a spec has no errors, nothing in it can bring a line, a word or a path of its own into a generated file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, examples...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, text, isArchive := strings.Cut(string(data), "-- spec.yaml --\n")
		if !isArchive {
			text = string(data)
		}
		text, _, _ = strings.Cut(text, "-- problems --\n")
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, problems := Parse("spec.yaml", data, Sources{})
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || (p.Severity != diag.Error && p.Severity != diag.Warning) {
				t.Fatalf("a problem without its place: %+v", p)
			}
		}
		if problems.HasErrors() {
			return
		}
		for _, word := range wordsOf(s) {
			if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'\{}#`, r) }) {
				t.Fatalf("%q could change the meaning of a file", word)
			}
		}
		for _, v := range s.VIPs {
			if _, ok := s.VRRPFamily(&v); !ok || v.VirtualRouterID < 1 || v.VirtualRouterID > 255 {
				t.Fatalf("no instance can be made of %+v", v)
			}
		}
	})
}

// wordsOf are all values of a spec that are written into files as one word.
func wordsOf(s *Spec) []string {
	words := []string{s.Cluster, s.Image.Release, s.Log.Target, s.Log.Facility, string(s.VRRP.Transport)}
	words = append(words, s.Image.Packages...)
	for _, n := range s.Nodes {
		words = append(words, n.Name, n.Hostname, n.Interface)
	}
	for _, v := range s.VIPs {
		words = append(words, v.Name, v.InterfaceOn(&s.Nodes[0]))
	}
	for _, svc := range s.Services {
		words = append(words, svc.Name, strings.Join(svc.VIPs, "+"), string(svc.Mode))
		words = append(words, strings.Split(svc.Balance, " ")...)
		if svc.TLS != nil {
			words = append(words, svc.TLS.Certificate)
		}
		if svc.Check != nil && svc.Check.HTTP != "" {
			words = append(words, strings.SplitN(svc.Check.HTTP, " ", 2)...)
		}
		for _, server := range svc.Servers {
			words = append(words, server.Name, server.Address.String())
		}
	}
	for _, u := range s.Access.Users {
		words = append(words, u.Name)
	}
	if s.Stats != nil && s.Stats.User != "" {
		words = append(words, s.Stats.User)
	}
	return words
}
