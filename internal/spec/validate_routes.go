package spec

import (
	"fmt"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// leads validates the destinations of a service's requests.
func (c check) leads(svc *Service, path string) {
	own := c.Has(path + ".servers")
	switch {
	case own && c.required(path+".servers") && len(svc.Servers) == 0 && svc.Lines.Backend == "":
		c.Problem(path+".servers", "a service must have at least one server", "")
	case own && c.Has(path+".backend"):
		c.Problem(path+".backend", "the service has its own servers", "use either servers or a backend")
	case !own && !svc.RedirectHTTP && svc.Backend == "" && len(svc.Routes) == 0 && svc.HealthPage == "" && svc.Lines.Frontend == "" && svc.Lines.Backend == "":
		if !c.HasError(path + ".servers") {
			c.Problem(path+".servers", "is missing", "list servers, or name a backend")
		}
	}
	if !own && svc.Lines.Backend == "" {
		c.withoutServers(svc, path)
	}
	if c.written(path + ".backend") {
		c.leadsTo(svc, path+".backend", svc.Backend)
	}
	for i := range svc.Routes {
		if p := fmt.Sprintf("%s.routes[%d]", path, i); !c.HasError(p) {
			c.route(svc, &svc.Routes[i], p)
		}
	}
}

// withoutServers reports keys about servers in a service without servers.
func (c check) withoutServers(svc *Service, path string) {
	keys := []string{"balance", "check", "sticky", "lines.server"}
	for _, f := range svc.Timeouts.Fields() {
		if !f.Client {
			keys = append(keys, "timeouts."+f.Key)
		}
	}
	for _, key := range keys {
		if p := path + "." + key; c.written(p) {
			c.Problem(p, "has no effect: the service has no servers", "write it into the backend")
		}
	}
}

func (c check) route(svc *Service, r *Route, path string) {
	if c.required(path + ".backend") {
		c.leadsTo(svc, path+".backend", r.Backend)
	}
	if len(r.Host)+len(r.Path)+len(r.SNI) == 0 && r.When == "" && !c.HasError(path+".host") && !c.HasError(path+".path") && !c.HasError(path+".sni") {
		c.Problem(path, "a route matches by host, path, sni or when", "other requests go to the service's own servers, or to its backend")
	}
	c.needsHTTP(svc.Mode, path+".host")
	c.needsHTTP(svc.Mode, path+".path")
	for _, f := range []struct {
		key    string
		values []string
		rule   rule
	}{{"host", r.Host, dnsRule}, {"path", r.Path, uriRule}, {"sni", r.SNI, dnsRule}} {
		for i, value := range f.values {
			if f.key != "path" {
				value = strings.TrimPrefix(value, "*.")
			}
			if p := c.addressPath(path+"."+f.key, i); c.written(p) {
				c.name(p, value, f.rule)
			}
		}
	}
	if c.written(path+".sni") && svc.Mode == HTTP && svc.TLS == nil {
		c.Problem(path+".sni", "the service has no tls", "in mode tcp the handshake is passed on to the servers; in mode http haproxy needs a certificate")
	}
	c.words(path+".when", "use_backend b if", r.When)
}

// leadsTo validates the name of a backend: one of backends, a service with servers, or a section that is passed through.
func (c check) leadsTo(svc *Service, path, name string) {
	var names []string
	for i := range c.s.Backends {
		b := &c.s.Backends[i]
		names = append(names, b.Name)
		if b.Name == name {
			c.sameMode(svc, path, b.Name, b.Mode)
			return
		}
	}
	for i := range c.s.Services {
		other := &c.s.Services[i]
		if len(other.Servers) == 0 {
			continue
		}
		names = append(names, other.Name)
		if other.Name == name {
			c.sameMode(svc, path, other.Name, other.Mode)
			return
		}
	}
	if strings.Contains(name, "%[") && c.wordOnly(path, name) {
		return // the name depends on the request
	}
	for line := range strings.Lines(c.s.HAProxy.Extra) {
		if w := syntax.Words(line); len(w) > 1 && (w[0] == "backend" || w[0] == "listen") && w[1] == name {
			return
		}
	}
	c.Problem(path, "there is no backend "+quote(name), meant(name, names))
}

// wordOnly validates a text that must be one word of haproxy.cfg.
func (c check) wordOnly(path, text string) bool {
	if strings.ContainsAny(text, " \t\"'\\#") || !printable(text) {
		c.Problem(path, quote(text)+" is not one word of haproxy.cfg", "")
		return false
	}
	return true
}

func (c check) sameMode(svc *Service, path, name string, mode Mode) {
	if mode != svc.Mode && (mode == HTTP || mode == TCP) && (svc.Mode == HTTP || svc.Mode == TCP) {
		c.Problem(path, fmt.Sprintf("%s has mode %s, and this service has mode %s", quote(name), mode, svc.Mode), "haproxy requires the same mode for both")
	}
}

// mentioned reports whether lines that are passed through contain the name of a backend.
func (c check) mentioned(backend string) bool {
	texts := []string{c.s.HAProxy.Extra, c.s.HAProxy.Defaults}
	for _, svc := range c.s.Services {
		texts = append(texts, svc.Lines.Frontend, svc.Lines.Backend)
		for _, name := range svc.backendNames() {
			if strings.Contains(name, "%[") {
				return true
			}
		}
	}
	for _, text := range texts {
		if syntax.LeadsTo(text, backend) {
			return true
		}
	}
	return false
}
