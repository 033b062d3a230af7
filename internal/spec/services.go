package spec

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// Endpoint is an address of a VIP and a range of ports, on which a service is reachable.
type Endpoint struct {
	Addr      netip.Addr
	Low, High int
	TLS       bool
	Lines     string // additional words of the bind line
	Path      string // key of the port in the service: port or ports[1]
}

// AddrPort is the endpoint's first port.
func (e Endpoint) AddrPort() netip.AddrPort { return netip.AddrPortFrom(e.Addr, uint16(e.Low)) }

// PortList returns the service's ports, from port or ports.
func (svc *Service) PortList() []Port {
	if len(svc.Ports) > 0 {
		return svc.Ports
	}
	return []Port{{Port: PortRange{svc.Port, svc.Port}}}
}

// has reports whether a port is one of the service's.
func (svc *Service) has(port int) bool {
	for _, p := range svc.PortList() {
		if p.Port.Low <= port && port <= p.Port.High {
			return true
		}
	}
	return svc.RedirectHTTP && port == 80
}

// Endpoints returns all addresses and ports of a service, in the order of its ports and VIPs. It omits VIPs that are not in the
// spec.
func (s *Spec) Endpoints(svc *Service) []Endpoint {
	var out []Endpoint
	for i, p := range svc.PortList() {
		path := "port"
		if len(svc.Ports) > 0 {
			path = fmt.Sprintf("ports[%d]", i)
		}
		for _, name := range svc.VIPs {
			vip := s.VIP(name)
			if vip == nil {
				continue
			}
			for _, a := range vip.Addresses {
				out = append(out, Endpoint{Addr: a.Addr, Low: p.Port.Low, High: p.Port.High, Lines: p.Lines, Path: path,
					TLS: svc.TLS != nil && (p.TLS == nil || *p.TLS)})
			}
		}
	}
	return out
}

// Pool is a group of servers: those of a service, or of a backend.
type Pool struct {
	Path     string // in the spec: services[0] or backends[1]
	Name     string
	Mode     Mode
	Balance  string
	Check    *Check // nil: haproxy opens a connection
	Sticky   *Sticky
	Timeouts Timeouts
	Servers  []Server
	Service  *Service // the service of the pool; nil: it is that of a backend
	// Lines of the section, words for every server, and the keys of both in the spec.
	Lines, LinesKey string
	ServerLines     string
}

// Pools returns all groups of servers: those of services with servers, and the backends.
func (s *Spec) Pools() iter.Seq[Pool] {
	return func(yield func(Pool) bool) {
		for i := range s.Services {
			if len(s.Services[i].Servers) > 0 && !yield(s.ServicePool(i)) {
				return
			}
		}
		for i := range s.Backends {
			if !yield(s.Backends[i].pool("backends[" + strconv.Itoa(i) + "]")) {
				return
			}
		}
	}
}

func (svc *Service) pool(path string) Pool {
	return Pool{Path: path, Name: svc.Name, Mode: svc.Mode, Balance: svc.Balance, Check: svc.Check, Sticky: svc.Sticky,
		Timeouts: svc.Timeouts, Servers: svc.Servers, Service: svc,
		Lines: svc.Lines.Backend, LinesKey: path + ".lines.backend", ServerLines: svc.Lines.Server}
}

func (b *Backend) pool(path string) Pool {
	return Pool{Path: path, Name: b.Name, Mode: b.Mode, Balance: b.Balance, Check: b.Check, Sticky: b.Sticky,
		Timeouts: b.Timeouts, Servers: b.Servers, Lines: b.Lines, LinesKey: path + ".lines"}
}

// ServicePool returns the pool of the service with an index.
func (s *Spec) ServicePool(i int) Pool {
	return s.Services[i].pool("services[" + strconv.Itoa(i) + "]")
}

// Uses reports whether a service refers to a backend.
func (svc *Service) Uses(backend string) bool { return slices.Contains(svc.backendNames(), backend) }

// PeersPort is the port on the node's own address on which haproxy shares its tables with the other nodes.
const PeersPort = 9737

// PeersAt returns the address and port on which a node shares its tables: its address of a family that all nodes have, IPv4 if
// possible.
func (s *Spec) PeersAt(n *Node) netip.AddrPort {
	for _, f := range []Family{IPv4, IPv6} {
		if s.speaks(f) {
			return netip.AddrPortFrom(n.Addr(f), PeersPort)
		}
	}
	return netip.AddrPortFrom(firstAddress(n.Addresses), PeersPort)
}

// Checks reports whether the pool's servers are checked.
func (p *Pool) Checks() bool { return p.Check == nil || !p.Check.Off }

// backendNames returns the names of the backends to which a service refers.
func (svc *Service) backendNames() []string {
	var names []string
	if svc.Backend != "" {
		names = append(names, svc.Backend)
	}
	for _, r := range svc.Routes {
		names = append(names, r.Backend)
	}
	return names
}

// CertificatePaths returns the paths of haproxy's certificates for clients: files, or directories that end with "/".
func (t *TLS) CertificatePaths() []string {
	if t.Certificate != "" {
		return append([]string{t.Certificate}, t.Certificates...)
	}
	return t.Certificates
}

// SharesTables reports whether some pool has a table that the nodes share.
func (s *Spec) SharesTables() bool {
	for p := range s.Pools() {
		if p.Sticky != nil && p.Sticky.Source != 0 {
			return true
		}
	}
	for _, text := range s.RawTexts() {
		for line := range strings.Lines(text.Text) {
			w := syntax.Words(line)
			if i := slices.Index(w, "peers"); i > 0 && w[0] == "stick-table" && i+1 < len(w) && w[i+1] == PeersName {
				return true
			}
		}
	}
	return false
}

// PeersName is the name of the peers section with all nodes. Lines that are passed through can use it for tables, too.
const PeersName = "hapair"

// ResolvesNames reports whether some server has a DNS name.
func (s *Spec) ResolvesNames() bool {
	for p := range s.Pools() {
		for _, server := range p.Servers {
			if server.Address.Name != "" {
				return true
			}
		}
	}
	return false
}

// IsIP reports whether the address is an IP address, or was omitted.
func (a ServerAddress) IsIP() bool { return a.Name == "" && a.Socket == "" }

// String returns the address, the name or the socket.
func (a ServerAddress) String() string {
	if a.IsIP() {
		return a.Addr.String()
	}
	return a.Name + a.Socket
}

// RawText is text that is passed through to haproxy.cfg, with its key in the spec.
type RawText struct{ Path, Text string }

// RawTexts returns all texts that are passed through to haproxy.cfg.
func (s *Spec) RawTexts() []RawText {
	var out []RawText
	add := func(text, path string, args ...any) {
		if text != "" {
			out = append(out, RawText{fmt.Sprintf(path, args...), text})
		}
	}
	add(s.HAProxy.Global, "haproxy.global")
	add(s.HAProxy.Defaults, "haproxy.defaults")
	add(s.HAProxy.Extra, "haproxy.extra")
	for i := range s.Services {
		svc := &s.Services[i]
		add(svc.Lines.Frontend, "services[%d].lines.frontend", i)
		add(svc.Lines.Backend, "services[%d].lines.backend", i)
		add(svc.Lines.Bind, "services[%d].lines.bind", i)
		add(svc.Lines.Server, "services[%d].lines.server", i)
		for j, p := range svc.Ports {
			add(p.Lines, "services[%d].ports[%d].lines", i, j)
		}
		for j, r := range svc.Routes {
			add(r.When, "services[%d].routes[%d].when", i, j)
		}
		for j, server := range svc.Servers {
			add(server.Lines, "services[%d].servers[%d].lines", i, j)
		}
	}
	for i := range s.Backends {
		add(s.Backends[i].Lines, "backends[%d].lines", i)
		for j, server := range s.Backends[i].Servers {
			add(server.Lines, "backends[%d].servers[%d].lines", i, j)
		}
	}
	return out
}
