package haproxycfg

import (
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
	"github.com/hapair/hapair/internal/spec"
)

// names are the names of the proxies in a configuration.
type names map[string]bool

func newNames(s *spec.Spec) names {
	n := names{}
	for i := range s.Services {
		n[s.Services[i].Name] = true
	}
	for i := range s.Backends {
		n[s.Backends[i].Name] = true
	}
	for line := range strings.Lines(s.HAProxy.Extra) {
		if w := syntax.Words(line); len(w) > 1 && syntax.IsSection(w[0]) {
			n[w[1]] = true
		}
	}
	return n
}

// free returns a name that is not used yet: the given one, or one with "-" appended.
func (n names) free(name string) string {
	for n[name] {
		name += "-"
	}
	n[name] = true
	return name
}

// references are the backends to which requests can be sent.
type references struct {
	names map[string]bool
	any   bool // a name that depends on the request, or lines of the defaults section
}

// newReferences reads the lines that send requests to backends. A listen section would inherit default_backend from the
// defaults section and never use its own servers.
func newReferences(s *spec.Spec) references {
	r := references{names: map[string]bool{}}
	for line := range strings.Lines(s.HAProxy.Defaults) {
		if w := syntax.Words(line); len(w) > 0 && w[0] == "default_backend" {
			r.any = true
		}
	}
	r.read(s.HAProxy.Extra)
	for i := range s.Services {
		svc := &s.Services[i]
		r.read(svc.Lines.Frontend)
		r.read(svc.Lines.Backend)
		r.add(svc.Backend)
		for _, route := range svc.Routes {
			r.add(route.Backend)
		}
	}
	return r
}

func (r *references) add(name string) {
	r.names[name] = true
	r.any = r.any || strings.ContainsAny(name, "%$")
}

func (r *references) read(lines string) {
	for line := range strings.Lines(lines) {
		if w := syntax.Words(line); len(w) > 1 && (w[0] == "default_backend" || w[0] == "use_backend") {
			r.add(w[1])
		}
	}
}

// has reports whether requests may be sent to a backend.
func (r references) has(name string) bool { return r.any || r.names[name] }
