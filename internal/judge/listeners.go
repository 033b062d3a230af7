package judge

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/keepalived/keepalivedconf"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
)

// listener is an address on which something listens on a node, with its origin in the spec.
type listener struct {
	haproxy.Listener
	owner  string // for messages
	origin srcmap.Origin
	agent  bool // the agent's own listener, which cannot share its port
}

// Listeners checks the addresses on which haproxy and the agent listen with a valid spec, including lines that are passed
// through. A port that is used twice is an error. An address that no node has, and a VIP without a listener, are warnings.
func Listeners(s *spec.Spec, r release.Release) diag.Problems {
	c := listenCheck{spec: s, used: map[netip.Addr]bool{}, complete: true}
	s = s.WithPlaceholders()
	for i := range s.Nodes {
		n := &s.Nodes[i]
		config, origins, err := haproxycfg.RenderLines(s, n, r.HAProxy)
		if err != nil {
			return nil
		}
		keep, err := keepalivedconf.Render(s, n, r.Keepalived)
		if err != nil {
			return nil
		}
		c.node(n, string(config), origins, keep)
	}
	c.unusedVIPs()
	return unique(c.problems)
}

type listenCheck struct {
	spec     *spec.Spec
	problems diag.Problems
	used     map[netip.Addr]bool
	complete bool // all addresses could be parsed
	any      bool // something listens on all addresses of IPv4 or IPv6
}

func (c *listenCheck) add(severity diag.Severity, o srcmap.Origin, message, hint string) {
	p := c.spec.At(o)
	p.Severity, p.Message, p.Hint = severity, message, hint
	c.problems = append(c.problems, p)
}

func (c *listenCheck) node(n *spec.Node, config string, origins []srcmap.Origin, keep []byte) {
	found, complete := haproxy.Listeners(config, n.Hostname)
	c.complete = c.complete && complete
	known := knownAddresses(c.spec, keep)
	var all []listener
	for _, f := range found {
		l := listener{Listener: f, owner: f.Proxy}
		if f.Line <= len(origins) {
			l.origin = origins[f.Line-1]
		}
		if kind, name, _ := strings.Cut(f.Proxy, " "); !l.origin.Text && (kind == "frontend" || kind == "listen") {
			l.owner = "service " + c.serviceOf(l.origin.Path, name)
			if l.origin.Path == "stats" {
				l.owner = "the stats page"
			}
		}
		c.use(l, known)
		all = append(all, l)
	}
	if at := c.spec.MetricsOn(n); at.IsValid() {
		all = append(all, listener{Listener: haproxy.Listener{Addr: at.Addr(), Low: at.Port(), High: at.Port()},
			owner: "agent.metrics", origin: srcmap.Origin{Path: "agent.metrics"}, agent: true})
	}
	c.clashes(all)
}

// serviceOf returns the name of the service of a path in the spec. Its frontend may have another name.
func (c *listenCheck) serviceOf(path, frontend string) string {
	var i int
	if _, err := fmt.Sscanf(path, "services[%d]", &i); err != nil || i < 0 || i >= len(c.spec.Services) {
		return frontend
	}
	return c.spec.Services[i].Name
}

// use adds a listener, and warns if no node has its address.
func (c *listenCheck) use(l listener, known map[netip.Addr]bool) {
	c.used[l.Addr] = true
	switch {
	case l.Addr.IsUnspecified():
		c.any = true
	case known[l.Addr] || l.Addr.IsLoopback() || !l.origin.Text:
	default:
		c.add(diag.Warning, l.origin, fmt.Sprintf("%s listens on %s, which is neither a VIP nor an address of a node", l.owner, l.Addr),
			"clients cannot reach it unless the nodes get that address in another way")
	}
}

// knownAddresses returns the addresses that a node can have: its own, those of its network-config, those of other nodes, and
// all that keepalived.conf mentions.
func knownAddresses(s *spec.Spec, keep []byte) map[netip.Addr]bool {
	known := map[netip.Addr]bool{}
	add := func(text string) {
		if p, err := netip.ParsePrefix(text); err == nil {
			known[p.Addr().Unmap()] = true
		} else if a, err := netip.ParseAddr(text); err == nil {
			known[a.Unmap()] = true
		}
	}
	for i := range s.Nodes {
		for _, a := range s.Nodes[i].Addresses {
			known[a.Addr] = true
		}
		eachString(s.Nodes[i].Network, add)
	}
	for _, in := range keepalived.Read(keep).Instances {
		for _, v := range in.VIPs {
			known[v.Address.Addr()] = true
		}
	}
	for _, word := range strings.Fields(string(keep)) {
		add(word)
	}
	return known
}

// eachString calls f with every key and every string of a mapping.
func eachString(v any, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			f(key)
			eachString(value, f)
		}
	case []any:
		for _, value := range v {
			eachString(value, f)
		}
	case string:
		f(v)
	}
}

// clashes reports ports that are used twice.
func (c *listenCheck) clashes(all []listener) {
	byPort := slices.Clone(all)
	slices.SortStableFunc(byPort, func(a, b listener) int { return int(a.Low) - int(b.Low) })
	for i, a := range byPort {
		for _, b := range byPort[i+1:] {
			if b.Low > a.High {
				break
			}
			c.clash(a, b)
		}
	}
}

// clash compares two listeners with the same port. haproxy binds with SO_REUSEPORT: if two of its listeners have the same
// address, the kernel distributes the connections at random, and a listener on a single address gets that address's connections
// instead of a listener on all addresses. A proxy may list an address twice, for two certificates or thread groups. The agent
// does not share.
func (c *listenCheck) clash(a, b listener) {
	if b.origin.Text == a.origin.Text && b.origin.Line < a.origin.Line || a.origin.Text && !b.origin.Text {
		a, b = b, a // report the listener that was passed through, or is later in the spec
	}
	same := a.Addr == b.Addr
	covers := !same && (a.Addr.IsUnspecified() && a.Addr.Is4() == b.Addr.Is4() || b.Addr.IsUnspecified() && a.Addr.Is4() == b.Addr.Is4())
	ports := fmt.Sprint(max(a.Low, b.Low))
	if high := min(a.High, b.High); high > max(a.Low, b.Low) {
		ports = fmt.Sprintf("%s to %d", ports, high)
	}
	switch {
	case !same && !covers,
		a.agent == b.agent && a.Proxy == b.Proxy,
		a.Interface != b.Interface && !a.agent && !b.agent:
	case same:
		c.add(diag.Error, b.origin, fmt.Sprintf("%s listens on port %s of %s, which %s has already", b.owner, ports, b.Addr, a.owner), c.place(a))
	case a.agent || b.agent:
		c.add(diag.Error, b.origin, fmt.Sprintf("%s and %s both listen on port %s", b.owner, a.owner, ports), c.place(a))
	case a.Addr.IsUnspecified():
		c.shadowed(b, a, ports)
	default:
		c.shadowed(a, b, ports)
	}
}

func (c *listenCheck) shadowed(single, all listener, ports string) {
	if !all.origin.Text {
		return
	}
	c.add(diag.Warning, all.origin, fmt.Sprintf("%s listens on port %s of all addresses, but %s has it on %s and gets the connections there",
		all.owner, ports, single.owner, single.Addr), c.place(single))
}

// place returns a hint with the line of a listener.
func (c *listenCheck) place(l listener) string {
	p := c.spec.At(l.origin)
	if p.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %s:%d", l.owner, p.File, p.Line)
}

// unusedVIPs warns about VIPs without a listener, if all listeners are known.
func (c *listenCheck) unusedVIPs() {
	if !c.complete || c.any {
		return
	}
	for i, v := range c.spec.VIPs {
		if !slices.ContainsFunc(v.Addresses, func(a spec.Address) bool { return c.used[a.Addr] }) {
			c.add(diag.Warning, srcmap.Origin{Path: fmt.Sprintf("vips[%d]", i)}, fmt.Sprintf("nothing listens on VIP %q", v.Name),
				"name it as the vip of a service")
		}
	}
}
