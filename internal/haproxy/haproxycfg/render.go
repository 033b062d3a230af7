// Package haproxycfg is how a haproxy.cfg is written out of a spec, for each version of haproxy. What is known of one that
// runs is in the package above it, which the agent links without a spec, its rules, templates and crypt(3).
package haproxycfg

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"strings"
	"text/template"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
)

//go:embed haproxy.cfg.tmpl
var configTemplate string

// config is what the template is filled with.
type config struct {
	Node, Cluster string
	Version       release.Version

	LogTarget, LogFacility string
	LogSendHostname        bool
	CloseSpreadTime        bool

	Global, Defaults, Extra string

	Sockets  []string // lines of the global section
	MaxStats int

	Stats    *statsPage
	Services []service
}

type service struct {
	Path                string // in the spec
	Name, Mode, Balance string
	HTTP                bool
	Binds               []netip.AddrPort
	Certificate         string
	Check               *check
	Servers             []server
	// Split makes a frontend and a backend of it instead of a listen section. haproxy 3.2 warns that both have one name.
	Split bool
}

type check struct {
	Method, URI, Host, Expect string
}

type server struct {
	Path    string // in the spec
	Name    string
	Address netip.AddrPort
}

// Render writes a node's haproxy.cfg for a version of haproxy. The spec has been validated; what could still change the
// meaning of the file (white space or a quote in a name, a password that could not be read) is an error.
func Render(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, error) {
	out, _, err := RenderLines(s, n, v)
	return out, err
}

// RenderLines is like Render and also returns the origin of each line in the spec.
func RenderLines(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, []srcmap.Origin, error) {
	if s.HAProxy.Config != "" {
		return s.HAProxy.ConfigContent, wholeText("haproxy.config", s.HAProxy.ConfigContent), nil
	}
	marked, err := render(s, n, v)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot render haproxy.cfg of node %s: %w", n.Name, err)
	}
	out, lines := srcmap.Split(marked)
	return out, lines, nil
}

// wholeText is the origin of each line of a file that is passed through.
func wholeText(path string, content []byte) []srcmap.Origin {
	lines := make([]srcmap.Origin, bytes.Count(content, []byte("\n"))+1)
	for i := range lines {
		lines[i] = srcmap.Origin{Path: path, Text: true, Line: i}
	}
	return lines
}

// render writes the file with marks of origin in it.
func render(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, error) {
	c := config{
		Node: n.Name, Cluster: s.Cluster, Version: v,
		LogFacility:     s.Log.Facility,
		CloseSpreadTime: v.AtLeast(2, 6, 0),
		Global:          passed("haproxy.global", s.HAProxy.Global, indent),
		Defaults:        passed("haproxy.defaults", s.HAProxy.Defaults, indent),
		Extra:           passed("haproxy.extra", s.HAProxy.Extra, func(t string) string { return strings.Trim(t, "\n") }),
		Sockets:         socketLines(takenPaths(s)),
	}
	if problems := SocketProblems(s); problems.HasErrors() {
		return nil, problems
	}
	var err error
	if c.LogTarget, c.LogSendHostname, err = logTarget(s, n); err != nil {
		return nil, err
	}
	if c.Stats, err = newStatsPage(s, n); err != nil {
		return nil, err
	}
	for i := range s.Services {
		svc, err := newService(s, &s.Services[i])
		if err != nil {
			return nil, err
		}
		svc.Path = fmt.Sprintf("services[%d]", i)
		for j := range svc.Servers {
			svc.Servers[j].Path = fmt.Sprintf("%s.servers[%d]", svc.Path, j)
		}
		c.Services = append(c.Services, svc)
	}
	return execute(c)
}

// routed reports whether lines of the spec lead requests to or past a service's servers. A listen section would inherit the
// default_backend of the defaults section and never use its own servers; and what it does to the requests of its own
// clients, it would also do to those of a frontend that uses it as a backend.
func routed(in spec.HAProxy, service string) bool {
	for line := range strings.Lines(in.Defaults) {
		if words := haproxy.Words(line); len(words) > 0 && words[0] == "default_backend" {
			return true
		}
	}
	for line := range strings.Lines(in.Extra) {
		words := haproxy.Words(line)
		if len(words) > 1 && (words[0] == "default_backend" || words[0] == "use_backend") &&
			(words[1] == service || strings.Contains(words[1], "%") || strings.Contains(words[1], "$")) {
			return true
		}
	}
	return false
}

// passed is a text that is passed through, as layOut lays it out, marked with its origin. Empty stays empty.
func passed(path, text string, layOut func(string) string) string {
	laidOut := layOut(text)
	if laidOut == "" {
		return ""
	}
	return srcmap.Text(path, text) + laidOut
}

func execute(c config) ([]byte, error) {
	c.MaxStats = maxStats
	t, err := template.New("haproxy.cfg").Funcs(template.FuncMap{
		"word": word, "balance": words, "bind": bind, "at": srcmap.Field,
		"on": func(path ...string) string { return srcmap.Line(strings.Join(path, "")) },
	}).Parse(configTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, c); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// logTarget is what stands behind "log": a path, or an address that UDP syslog is sent to. Away from this node the
// sender's name is part of a message.
func logTarget(s *spec.Spec, n *spec.Node) (target string, sendHostname bool, err error) {
	if strings.HasPrefix(s.Log.Target, "/") {
		return s.Log.Target, false, nil
	}
	addr, ok := s.Log.AddrPort(n)
	if !ok {
		return "", false, fmt.Errorf("log address %q is no path, no IP address and not node", s.Log.Target)
	}
	return addr.String(), !isAddressOf(n, addr.Addr()), nil
}

// OwnSyslog is the address of the node on which something must listen for haproxy's log; false where haproxy logs to a
// socket of the file system or to another machine.
func OwnSyslog(s *spec.Spec, n *spec.Node) (netip.AddrPort, bool) {
	addr, ok := s.Log.AddrPort(n)
	return addr, ok && isAddressOf(n, addr.Addr())
}

func isAddressOf(n *spec.Node, addr netip.Addr) bool {
	for _, a := range n.Addresses {
		if a.Addr == addr {
			return true
		}
	}
	return false
}

func newService(s *spec.Spec, in *spec.Service) (service, error) {
	out := service{Name: in.Name, Mode: string(in.Mode), Balance: in.Balance, HTTP: in.Mode == spec.HTTP, Split: routed(s.HAProxy, in.Name)}
	vip := s.VIP(in.VIP)
	if vip == nil || len(vip.Addresses) == 0 {
		return out, fmt.Errorf("service %s names the VIP %q, which has no address", in.Name, in.VIP)
	}
	for _, a := range vip.Addresses {
		out.Binds = append(out.Binds, netip.AddrPortFrom(a.Addr, uint16(in.Port)))
	}
	if in.TLS != nil {
		out.Certificate = in.TLS.Certificate
	}
	if in.Check != nil && in.Check.HTTP != "" {
		out.Check = newCheck(in.Check, out.Binds[0])
	}
	for _, srv := range in.Servers {
		port := srv.Port
		if port == 0 {
			port = in.Port
		}
		out.Servers = append(out.Servers, server{Name: srv.Name, Address: netip.AddrPortFrom(srv.Address, uint16(port))})
	}
	return out, nil
}

// newCheck asks as a client of the service would: HTTP/1.1 demands a Host, and the VIP is what clients write there.
func newCheck(in *spec.Check, vip netip.AddrPort) *check {
	method, uri, _ := strings.Cut(in.HTTP, " ")
	c := &check{Method: method, URI: strings.TrimSpace(uri), Host: vip.String(), Expect: "200-399"}
	if in.Expect != 0 {
		c.Expect = fmt.Sprint(in.Expect)
	}
	return c
}
