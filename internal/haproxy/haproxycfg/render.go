// Package haproxycfg renders a haproxy.cfg from a spec, for each version of haproxy. It is separate from package haproxy,
// because the agent must not link the spec, templates and crypt(3).
package haproxycfg

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"strings"
	"text/template"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
)

//go:embed haproxy.cfg.tmpl
var configTemplate string

// config is the input of the template.
type config struct {
	Node, Cluster string
	Version       release.Version

	LogTarget, LogFacility string
	LogSendHostname        bool
	CloseSpreadTime        bool

	Global, Defaults, Extra string

	Sockets  []string // lines of the global section
	MaxStats int

	MaxConn  int
	Timeouts []string // lines of the defaults section
	Times    string   // of checks: words of default-server

	Stats    *statsPage
	Services string // the services' sections, laid out, with marks of their origins

	LocalPeer     string // the name of this node among Peers
	Peers         []peer // the nodes, if they share tables
	ResolvesNames bool   // servers have DNS names
	Nameservers   []netip.Addr
}

// peer is a node that shares tables with the others.
type peer struct {
	Name    string
	Address netip.AddrPort
}

// Render returns a node's haproxy.cfg for a version of haproxy. The spec must be valid. A value that would still change the
// meaning of the file (white space or a quote in a name, an unreadable password) is an error.
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

// wholeText returns the origin of each line of a file that is passed through.
func wholeText(path string, content []byte) []srcmap.Origin {
	lines := make([]srcmap.Origin, bytes.Count(content, []byte("\n"))+1)
	for i := range lines {
		lines[i] = srcmap.Origin{Path: path, Text: true, Line: i}
	}
	return lines
}

// render returns the file with marks of origins.
func render(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, error) {
	c := config{
		Node: n.Name, Cluster: s.Cluster, Version: v,
		LogFacility:     s.Log.Facility,
		CloseSpreadTime: v.AtLeast(2, 6, 0),
		Global:          passed("haproxy.global", s.HAProxy.Global, indent),
		Defaults:        passed("haproxy.defaults", s.HAProxy.Defaults, indent),
		Extra:           passed("haproxy.extra", s.HAProxy.Extra, func(t string) string { return strings.Trim(t, "\n") }),
		Sockets:         socketLines(takenPaths(s)),
		MaxConn:         s.HAProxy.MaxConn,
		Timeouts:        defaultTimeouts(&s.HAProxy.Timeouts),
		Times:           defaultTimes(s.HAProxy.Check),
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
	if c.Services, err = services(s); err != nil {
		return nil, err
	}
	c.Peers, c.LocalPeer = peers(s, n)
	c.Nameservers, c.ResolvesNames = nameservers(n, v), s.ResolvesNames()
	return execute(c)
}

// passed returns a text that is passed through, laid out by layOut and marked with its origin. An empty text stays empty.
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
		"word": word, "bind": bind, "at": srcmap.Field, "on": srcmap.Line,
		"nameserver": func(a netip.Addr) string { return netip.AddrPortFrom(a, 53).String() },
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

// logTarget returns the words after "log": a path, or an address for UDP syslog. In a message to another machine the sender's
// name is included.
func logTarget(s *spec.Spec, n *spec.Node) (target string, sendHostname bool, err error) {
	if strings.HasPrefix(s.Log.Target, "/") {
		return s.Log.Target, false, nil
	}
	addr, ok := s.Log.AddrPort(n)
	if !ok {
		return "", false, fmt.Errorf("log address %q is not a path, an IP address or node", s.Log.Target)
	}
	return addr.String(), !isAddressOf(n, addr.Addr()), nil
}

// OwnSyslog returns the address of the node on which a syslog must listen for haproxy's log; false if haproxy logs to a socket
// in the file system or to another machine.
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
