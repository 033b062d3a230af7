package haproxycfg

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// layout writes the sections of the services and backends.
type layout struct {
	writer
	spec  *spec.Spec
	names names
	refs  references
	table string // the type of the tables of client addresses
	hosts map[string]string
}

// services writes the sections of all services and backends, with marks of their origins.
func services(s *spec.Spec) (string, error) {
	l := layout{spec: s, names: newNames(s), refs: newReferences(s), table: "ip", hosts: map[string]string{}}
	for i := range s.VIPs {
		if s.VIPs[i].Addr(spec.IPv6).IsValid() {
			l.table = "ipv6"
		}
	}
	for i := range s.Services {
		if err := l.service(i); err != nil {
			return "", err
		}
	}
	for p := range s.Pools() {
		if p.Service == nil {
			l.section("backend", p.Name, p.Path)
			l.line("", "mode", l.word(string(p.Mode)))
			l.pool(&p)
		}
	}
	return strings.TrimSuffix(l.b.String(), "\n"), l.err
}

// service writes a service: one listen section if only the service uses its servers, otherwise a frontend and a backend. The
// backend has the service's name, so that servers keep their states. The frontend must have another name: haproxy 3.2 warns
// about a frontend and a backend with the same name, and 3.3 does not start.
func (l *layout) service(i int) error {
	svc := &l.spec.Services[i]
	path := fmt.Sprintf("services[%d]", i)
	endpoints := l.spec.Endpoints(svc)
	if len(endpoints) == 0 {
		return fmt.Errorf("service %s names the VIPs %q, which have no address", svc.Name, svc.VIPs)
	}
	own := len(svc.Servers) > 0 || svc.Lines.Backend != ""
	split := own && (len(svc.Routes) > 0 || svc.Backend != "" || l.refs.has(svc.Name))
	kind, name := "listen", svc.Name
	switch {
	case split:
		kind, name = "frontend", l.names.free(svc.Name+"-frontend")
	case !own:
		kind = "frontend"
	}
	l.section(kind, name, path)
	l.frontend(svc, path, endpoints)
	switch {
	case svc.Backend != "":
		l.line("backend", "default_backend", l.word(svc.Backend))
	case split:
		l.line("", "default_backend", l.word(svc.Name))
	}
	pool := l.spec.ServicePool(i)
	if split {
		l.section("backend", svc.Name, path)
		l.line("", "mode", l.word(string(svc.Mode)))
	}
	if own {
		l.pool(&pool)
	}
	if svc.RedirectHTTP {
		l.redirect(svc, path, endpoints)
	}
	return nil
}

// closeIdle makes the old process of a reload answer one more request of each idle connection before it closes it. Otherwise it
// closes them at once, and a request that is on its way gets no answer: of 80 connections with a request every 5 ms, haproxy 2.4
// lost 51 that way, 2.6 39, 2.8 27 and 3.2 26; with the option, none.
const closeIdle = "option idle-close-on-response"

// frontend writes the lines about clients.
func (l *layout) frontend(svc *spec.Service, path string, endpoints []spec.Endpoint) {
	l.line("", "mode", l.word(string(svc.Mode)))
	for _, e := range endpoints {
		l.bind(svc, e)
	}
	if svc.MaxConn != 0 {
		l.line("maxconn", "maxconn", strconv.Itoa(svc.MaxConn))
	}
	l.timeouts(&svc.Timeouts, true)
	l.allow(svc)
	if svc.Mode == spec.HTTP {
		l.line("", "option httplog")
		l.line("", closeIdle)
		if svc.Forwarded {
			l.line("", "option forwardfor")
			l.forwardedProto(endpoints)
		}
	} else {
		l.line("", "option tcplog")
	}
	if svc.HealthPage != "" {
		l.line("health_page", "monitor-uri", l.word(svc.HealthPage))
	}
	for i, e := range svc.ErrorFiles {
		l.line(fmt.Sprintf("error_files[%d]", i), "errorfile", strconv.Itoa(e.Status), l.word(e.Path))
	}
	if len(svc.Compression) > 0 {
		l.line("compression", "compression algo gzip")
		for _, some := range chunks(svc.Compression) {
			l.line("compression", "compression type", l.words(strings.Join(some, " ")))
		}
	}
	l.text(path+".lines.frontend", svc.Lines.Frontend)
	l.routes(svc)
}

// bind writes the bind line of an address.
func (l *layout) bind(svc *spec.Service, e spec.Endpoint) {
	on := e.Path
	at := e.AddrPort().String()
	if e.High > e.Low {
		at += "-" + strconv.Itoa(e.High)
	}
	words := []string{"bind", at}
	if needsV6Only(e.Addr) {
		words = append(words, "v6only")
	}
	if e.TLS {
		on = "tls"
		words = append(words, l.bindTLS(svc)...)
	}
	if svc.AcceptProxy {
		words = append(words, "accept-proxy")
	}
	for _, more := range []struct{ key, text string }{{"lines.bind", svc.Lines.Bind}, {e.Path + ".lines", e.Lines}} {
		if text := l.tail(more.text); text != "" {
			words, on = append(words, text), more.key
		}
	}
	l.line(on, words...)
}

func (l *layout) bindTLS(svc *spec.Service) []string {
	words := []string{"ssl"}
	for _, path := range svc.TLS.CertificatePaths() {
		words = append(words, "crt", l.word(path))
	}
	switch {
	case len(svc.TLS.ALPN) > 0:
		words = append(words, "alpn", l.word(strings.Join(svc.TLS.ALPN, ",")))
	case svc.TLS.ALPN == nil && svc.Mode == spec.HTTP:
		words = append(words, "alpn", "h2,http/1.1")
	}
	if svc.TLS.ClientCA != "" {
		verify := svc.TLS.ClientVerify
		if verify == "" {
			verify = "required"
		}
		words = append(words, "ca-file", l.word(svc.TLS.ClientCA), "verify", l.word(verify))
	}
	return words
}

// allow refuses clients from other networks. With the PROXY protocol, the real client is only known after its header.
func (l *layout) allow(svc *spec.Service) {
	if len(svc.Allow) == 0 {
		return
	}
	var networks []string
	for _, p := range svc.Allow {
		networks = append(networks, p.String())
	}
	for _, some := range chunks(networks) {
		l.line("allow", "acl hapair-allowed src", strings.Join(some, " "))
	}
	when := "connection"
	if svc.AcceptProxy {
		when = "session"
	}
	l.line("allow", "tcp-request", when, "reject unless hapair-allowed")
}

// forwardedProto adds the header that tells the servers whether the client used TLS.
func (l *layout) forwardedProto(endpoints []spec.Endpoint) {
	tls, clear := false, false
	for _, e := range endpoints {
		tls, clear = tls || e.TLS, clear || !e.TLS
	}
	const header = "http-request set-header X-Forwarded-Proto"
	switch {
	case tls && clear:
		l.line("", header, "https if { ssl_fc }")
		l.line("", header, "http unless { ssl_fc }")
	case tls:
		l.line("", header, "https")
	default:
		l.line("", header, "http")
	}
}

func (l *layout) timeouts(t *spec.Timeouts, client bool) {
	for _, f := range t.Fields() {
		if f.Value != nil && f.Client == client {
			l.line("timeouts."+f.Key, "timeout", f.Keyword, span(*f.Value))
		}
	}
}

// redirect writes the frontend on port 80 that redirects clients to https.
func (l *layout) redirect(svc *spec.Service, path string, endpoints []spec.Endpoint) {
	l.section("frontend", l.names.free(svc.Name+"-redirect"), path)
	l.line("", "mode http")
	port, seen := 443, map[netip.Addr]bool{}
	for i := len(endpoints) - 1; i >= 0; i-- {
		if endpoints[i].TLS {
			port = endpoints[i].Low
		}
	}
	for _, e := range endpoints {
		if seen[e.Addr] {
			continue
		}
		seen[e.Addr] = true
		words := []string{"bind", bind(netip.AddrPortFrom(e.Addr, 80))}
		if svc.AcceptProxy {
			words = append(words, "accept-proxy")
		}
		l.line("redirect_http", words...)
	}
	l.allow(svc)
	l.line("", "option httplog")
	l.line("", closeIdle)
	if port == 443 {
		l.line("redirect_http", "http-request redirect scheme https code 301")
	} else {
		l.line("redirect_http", fmt.Sprintf("http-request redirect code 301 location https://%%[req.hdr(host),field(1,:)]:%d%%[capture.req.uri]", port))
	}
}

// chunks splits a list into parts that fit into one line of haproxy.cfg: 64 words (MAX_LINE_ARGS).
func chunks(list []string) [][]string {
	const most = 40
	var out [][]string
	for len(list) > most {
		out, list = append(out, list[:most]), list[most:]
	}
	return append(out, list)
}

// nameservers returns the nameservers for haproxy; none means those in /etc/resolv.conf. haproxy 2.4 does not start without a
// route to a nameserver; jammy, the release that has it, always has systemd-resolved.
func nameservers(n *spec.Node, v release.Version) []netip.Addr {
	if !v.AtLeast(2, 5, 0) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 53})}
	}
	return n.Nameservers
}

// peers returns the nodes that share tables, and the name of this one among them; none if nothing is shared.
func peers(s *spec.Spec, n *spec.Node) ([]peer, string) {
	if !s.SharesTables() {
		return nil, ""
	}
	var out []peer
	for i := range s.Nodes {
		out = append(out, peer{s.Nodes[i].Hostname, s.PeersAt(&s.Nodes[i])})
	}
	return out, n.Hostname
}
