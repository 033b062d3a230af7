package recipe

import (
	"strings"

	"github.com/hapair/hapair/internal/spec"
)

// ca marks the path of CA certificates, whose placeholder has no key.
const ca = "ca "

// certificates returns the certificate paths in services and backends, each once, in the order of the spec. They are the input
// of placeholder-certificates. Files of the spec need no placeholder.
func certificates(s *spec.Spec) []string {
	var paths []string
	seen := map[string]bool{}
	add := func(kind, path string) {
		if path == "" || path == "none" || seen[path] || s.Delivers(path) != nil {
			return
		}
		seen[path] = true
		paths = append(paths, kind+path)
	}
	for _, svc := range s.Services {
		if svc.TLS != nil {
			for _, path := range svc.TLS.CertificatePaths() {
				add("", path)
			}
			add(ca, svc.TLS.ClientCA)
		}
	}
	for p := range s.Pools() {
		for _, server := range p.Servers {
			if server.TLS != nil {
				add(ca, server.TLS.Verify)
				add("", server.TLS.Certificate)
			}
		}
		if p.Check != nil && p.Check.TLS != nil {
			add(ca, p.Check.TLS.Verify)
		}
	}
	return paths
}

// watchedCertificates returns the same paths for the agent.
func watchedCertificates(s *spec.Spec) []string {
	paths := certificates(s)
	for i := range paths {
		paths[i] = strings.TrimPrefix(paths[i], ca)
	}
	return paths
}

// specFiles returns the files of the spec. If not all users may read a file, its group is haproxy's, which the package creates.
func specFiles(s *spec.Spec) []File {
	var out []File
	for _, f := range s.Files {
		file := File{Path: f.Path, Mode: f.Perm, Owner: "root", Group: "root", Content: f.Data}
		if f.Perm&0o004 == 0 && f.Perm&0o040 != 0 {
			file.Group, file.Package = "haproxy", "haproxy"
		}
		out = append(out, file)
	}
	return out
}

func filePaths(s *spec.Spec) []string {
	var paths []string
	for _, f := range s.Files {
		paths = append(paths, f.Path)
	}
	return paths
}
