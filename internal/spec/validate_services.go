package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (c check) services() {
	s := c.s
	if len(s.Services) == 0 && s.HAProxy.Config == "" && s.HAProxy.Extra == "" && !c.HasError("services") {
		c.Problem("services", "there is nothing to balance", "list services, or write them yourself under haproxy")
	}
	names, ports := map[string]string{}, map[portOf]string{}
	for i := range s.Services {
		svc, path := &s.Services[i], fmt.Sprintf("services[%d]", i)
		if c.HasError(path) {
			continue
		}
		if c.required(path+".name") && c.name(path+".name", svc.Name, proxyRule) {
			c.unique(names, path+".name", svc.Name, "services")
		}
		c.mode(path, svc.Mode)
		c.listens(svc, path, ports)
		c.clients(svc, path)
		c.pages(svc, path)
		c.tls(svc, path)
		c.timeouts(path+".timeouts", &svc.Timeouts)
		c.leads(svc, path)
		p := svc.pool(path)
		c.pool(&p)
		c.serviceLines(svc, path)
	}
	c.redirects(ports)
	c.backends(names)
	c.haproxyDefaults()
}

// portOf is a port of a VIP.
type portOf struct {
	vip  string
	port int
}

// maxPorts is the maximum number of ports in a range: haproxy opens a socket for each.
const maxPorts = 4096

// listens validates the VIPs and ports of a service.
func (c check) listens(svc *Service, path string, ports map[portOf]string) {
	switch has := c.Has(path + ".ports"); {
	case has && c.Has(path+".port"):
		c.Problem(path+".ports", "port and ports are both given", "list all of them in ports")
	case !has:
		if c.required(path + ".port") {
			c.port(path+".port", svc.Port)
		}
	case !c.HasError(path+".ports") && len(svc.Ports) == 0:
		c.Problem(path+".ports", "has no port", "")
	}
	for i, p := range svc.Ports {
		c.portRange(svc, fmt.Sprintf("%s.ports[%d]", path, i), p)
	}
	if !c.required(path + ".vip") {
		return
	}
	if len(svc.VIPs) == 0 {
		c.Problem(path+".vip", "has no VIP", "")
	}
	seen := map[string]string{}
	for i, name := range svc.VIPs {
		p := c.addressPath(path+".vip", i)
		if c.s.VIP(name) == nil {
			c.Problem(p, "there is no VIP "+quote(name), meant(name, c.s.vipNames()))
			continue
		}
		c.unique(seen, p, name, "VIPs of the service")
	}
	c.takesPorts(svc, path, ports)
}

func (s *Spec) vipNames() []string {
	var names []string
	for _, v := range s.VIPs {
		names = append(names, v.Name)
	}
	return names
}

// portRange validates an entry of ports.
func (c check) portRange(svc *Service, path string, p Port) {
	if c.HasError(path) || c.HasError(path+".port") {
		return
	}
	at := path
	if c.Has(path + ".port") {
		at = path + ".port"
	}
	c.port(at, p.Port.Low)
	c.port(at, p.Port.High)
	switch {
	case p.Port.High < p.Port.Low:
		c.Problem(at, fmt.Sprintf("the range ends with %d, before it begins", p.Port.High), "write the lower port first")
	case p.Port.High-p.Port.Low >= maxPorts:
		c.Problem(at, fmt.Sprintf("the range has %d ports", p.Port.High-p.Port.Low+1), fmt.Sprintf("must be at most %d: haproxy opens a socket for each", maxPorts))
	}
	if p.TLS != nil && *p.TLS && svc.TLS == nil {
		c.Problem(path+".tls", "the service has no tls", "add tls with a certificate")
	}
	c.words(path+".lines", "bind address", p.Lines)
}

// takesPorts reports ports of a VIP that another service has.
func (c check) takesPorts(svc *Service, path string, ports map[portOf]string) {
	for i, p := range svc.PortList() {
		at := path + ".port"
		if len(svc.Ports) > 0 {
			at = fmt.Sprintf("%s.ports[%d]", path, i)
		}
		if c.HasError(at) || p.Port.Low < 1 || p.Port.High > 65535 {
			continue
		}
		for _, vip := range svc.VIPs {
			c.takesRange(svc, at, vip, p.Port, ports)
		}
	}
}

func (c check) takesRange(svc *Service, at, vip string, r PortRange, ports map[portOf]string) {
	for port := r.Low; port <= r.High; port++ {
		first, twice := ports[portOf{vip, port}]
		if twice {
			c.Problem(at, fmt.Sprintf("service %s has port %d of VIP %s already", quote(first), port, quote(vip)), "")
			return
		}
		ports[portOf{vip, port}] = svc.Name
		if port == 22 {
			c.Warning(at, "sshd listens on port 22 of every address, so that haproxy cannot", "let sshd listen on the node's own address alone (ListenAddress)")
		}
	}
}

// redirects validates redirect_http, when all ports are known.
func (c check) redirects(ports map[portOf]string) {
	for i := range c.s.Services {
		svc, path := &c.s.Services[i], fmt.Sprintf("services[%d].redirect_http", i)
		if !svc.RedirectHTTP || c.HasError(path) {
			continue
		}
		if svc.TLS == nil {
			c.Problem(path, "the service has no tls to redirect to", "add tls with a certificate, or leave redirect_http out")
			continue
		}
		for _, vip := range svc.VIPs {
			at := portOf{vip, 80}
			first, twice := ports[at]
			switch {
			case twice && first == svc.Name:
				c.Problem(path, "the service itself has port 80", "leave the port out, or write the redirect into lines.frontend: http-request redirect scheme https unless { ssl_fc }")
				return
			case twice:
				c.Problem(path, fmt.Sprintf("service %s has port 80 of VIP %s already", quote(first), quote(vip)), "the redirect needs that port")
			}
			ports[at] = svc.Name
		}
	}
}

func (c check) mode(path string, mode Mode) {
	if !c.HasError(path+".mode") && mode != HTTP && mode != TCP {
		c.Problem(path+".mode", quote(string(mode))+" is no mode", meant(string(mode), []string{string(HTTP), string(TCP)}))
	}
}

// needsHTTP reports a key that has an effect only in mode http.
func (c check) needsHTTP(mode Mode, path string) {
	if mode == TCP && c.written(path) {
		c.Problem(path, "needs mode http", "the service's mode is tcp")
	}
}

// clients validates the keys about clients: allow, accept_proxy and others.
func (c check) clients(svc *Service, path string) {
	for i, p := range svc.Allow {
		if p.IsValid() && p != p.Masked() {
			c.Problem(fmt.Sprintf("%s.allow[%d]", path, i), fmt.Sprintf("%s is an address in a network", p), "write the network: "+p.Masked().String())
		}
	}
	if c.written(path+".allow") && len(svc.Allow) == 0 {
		c.Problem(path+".allow", "lists no network: clients could not connect", "leave it out to allow all clients")
	}
	c.atLeast(path+".maxconn", svc.MaxConn, 1)
	c.needsHTTP(svc.Mode, path+".forwarded")
}

// atLeast validates the lower bound of a number that was given.
func (c check) atLeast(path string, n, least int) {
	if c.written(path) && n < least {
		c.Problem(path, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("must be at least %d", least))
	}
}

// pages validates the keys with which haproxy itself answers, or changes answers.
func (c check) pages(svc *Service, path string) {
	c.needsHTTP(svc.Mode, path+".health_page")
	if c.written(path + ".health_page") {
		c.name(path+".health_page", svc.HealthPage, uriRule)
	}
	c.needsHTTP(svc.Mode, path+".compression")
	for i, mime := range svc.Compression {
		if p := fmt.Sprintf("%s.compression[%d]", path, i); c.written(p) {
			c.name(p, mime, mimeRule)
		}
	}
	c.needsHTTP(svc.Mode, path+".error_files")
	for i, e := range svc.ErrorFiles {
		p := fmt.Sprintf("%s.error_files[%d]", path, i)
		if c.HasError(p) {
			continue
		}
		// configuration.txt, errorfile
		known := []int{200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504}
		if c.required(p+".status") && !slices.Contains(known, e.Status) {
			c.Problem(p+".status", fmt.Sprintf("haproxy has no page for status %d", e.Status), "it has 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429 and 500 to 504")
		}
		if c.required(p + ".path") {
			c.path(p+".path", e.Path)
		}
	}
}

// path validates a path on the node.
func (c check) path(path, value string) {
	if message, hint := checkPath(value); message != "" {
		c.Problem(path, message, hint)
	}
}

// directoryOrFile validates a path on the node that may end with "/".
func (c check) directoryOrFile(path, value string) {
	if value != "/" {
		value = strings.TrimSuffix(value, "/")
	}
	c.path(path, value)
}

func (c check) tls(svc *Service, path string) {
	t := svc.TLS
	if path += ".tls"; t == nil || c.HasError(path) {
		return
	}
	if !c.Has(path+".certificates") && c.required(path+".certificate") {
		c.path(path+".certificate", t.Certificate)
	} else if c.written(path + ".certificate") {
		c.path(path+".certificate", t.Certificate)
	}
	if c.written(path+".certificates") && len(t.Certificates) == 0 {
		c.Problem(path+".certificates", "lists no certificate", "")
	}
	for i, cert := range t.Certificates {
		if p := fmt.Sprintf("%s.certificates[%d]", path, i); c.written(p) {
			c.directoryOrFile(p, cert)
		}
	}
	c.alpn(path+".alpn", t.ALPN)
	if c.written(path + ".client_ca") {
		c.path(path+".client_ca", t.ClientCA)
	}
	if !c.written(path + ".client_verify") {
		return
	}
	if words := []string{"required", "optional"}; !slices.Contains(words, t.ClientVerify) {
		c.Problem(path+".client_verify", quote(t.ClientVerify)+" is not allowed here", meant(t.ClientVerify, words))
	} else if !c.Has(path + ".client_ca") {
		c.Problem(path+".client_verify", "has no effect without client_ca", "")
	}
}

func (c check) alpn(path string, protocols []string) {
	for i, name := range protocols {
		if p := fmt.Sprintf("%s[%d]", path, i); c.written(p) {
			c.name(p, name, alpnRule)
		}
	}
}

// longest is the maximum timeout of haproxy: 2^31 - 1 milliseconds (configuration.txt, 2.5).
const longest = (1<<31 - 1) * time.Millisecond

func (c check) timeouts(path string, t *Timeouts) {
	for _, f := range t.Fields() {
		p := path + "." + f.Key
		if f.Value == nil || c.HasError(p) {
			continue
		}
		if d := *f.Value; d < 0 || d > longest || d%time.Millisecond != 0 {
			c.Problem(p, fmt.Sprintf("haproxy cannot have a timeout of %s", d), "must be 0 (none) to 24 days, in whole milliseconds")
		}
	}
}

// TimeoutField is one of the timeouts.
type TimeoutField struct {
	Key, Keyword string // in the spec, and in haproxy.cfg after "timeout"
	Value        *time.Duration
	Client       bool // it is only about clients
}

// Fields returns all timeouts, in the order of the spec.
func (t *Timeouts) Fields() []TimeoutField {
	return []TimeoutField{
		{"connect", "connect", t.Connect, false}, {"client", "client", t.Client, true}, {"server", "server", t.Server, false},
		{"tunnel", "tunnel", t.Tunnel, false}, {"queue", "queue", t.Queue, false}, {"check", "check", t.Check, false},
		{"http_request", "http-request", t.HTTPRequest, true}, {"http_keep_alive", "http-keep-alive", t.HTTPKeepAlive, true},
		{"client_fin", "client-fin", t.ClientFin, true}, {"server_fin", "server-fin", t.ServerFin, false},
	}
}

// haproxyDefaults validates the defaults for all services.
func (c check) haproxyDefaults() {
	h := &c.s.HAProxy
	c.atLeast("haproxy.maxconn", h.MaxConn, 1)
	c.timeouts("haproxy.timeouts", &h.Timeouts)
	c.checkTimes("haproxy.check", h.Check)
}
