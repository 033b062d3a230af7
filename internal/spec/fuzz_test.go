package spec

import (
	"os"
	"path/filepath"
	"slices"
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

// given are the texts that are not empty.
func given(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

// poolWords are the words of a group of servers.
func poolWords(p *Pool) []string {
	words := []string{p.Name, string(p.Mode)}
	words = append(words, strings.Split(p.Balance, " ")...)
	if k := p.Check; k != nil && !k.Off {
		words = append(words, given(strings.SplitN(k.HTTP, " ", 2)...)...)
		words = append(words, given(k.Version, k.Host, k.Protocol, k.User)...)
		words = append(words, given(strings.Split(k.Hello, " ")...)...)
		for _, h := range k.Headers {
			words = append(words, h.Name)
		}
		for _, status := range k.Expect.Status {
			words = append(words, string(status))
		}
		if k.TLS != nil {
			words = append(words, given(k.TLS.Verify, k.TLS.SNI, strings.Join(k.TLS.ALPN, ","))...)
		}
	}
	if p.Sticky != nil {
		words = append(words, given(p.Sticky.Cookie, p.Sticky.Size)...)
		words = append(words, given(strings.Split(p.Sticky.Options, " ")...)...)
	}
	for _, server := range p.Servers {
		words = append(words, server.Name, server.String())
		words = append(words, given(server.Cookie, server.SendProxy)...)
		if server.TLS != nil {
			words = append(words, given(server.TLS.Verify, server.TLS.SNI, server.TLS.Certificate, strings.Join(server.TLS.ALPN, ","))...)
		}
	}
	return words
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
			words = append(words, svc.TLS.CertificatePaths()...)
			words = append(words, given(strings.Join(svc.TLS.ALPN, ","), svc.TLS.ClientCA, svc.TLS.ClientVerify)...)
		}
		words = append(words, given(svc.HealthPage, strings.Join(svc.Compression, ","))...)
		for _, e := range svc.ErrorFiles {
			words = append(words, e.Path)
		}
		for _, r := range svc.Routes {
			words = append(words, slices.Concat(r.Host, r.Path, r.SNI)...)
		}
	}
	for p := range s.Pools() {
		words = append(words, poolWords(&p)...)
	}
	for _, u := range s.Access.Users {
		words = append(words, u.Name)
	}
	if s.Stats != nil && s.Stats.User != "" {
		words = append(words, s.Stats.User)
	}
	return words
}
