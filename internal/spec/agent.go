package spec

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MetricsOn returns the address of the agent's metrics on a node; invalid if there are none.
func (s *Spec) MetricsOn(n *Node) netip.AddrPort {
	port, own := strings.CutPrefix(s.Agent.Metrics, "node:")
	if !own {
		at, _ := netip.ParseAddrPort(s.Agent.Metrics)
		return at
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(n.Addresses) == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(n.Addresses[0].Addr, uint16(number))
}

// agent validates the key agent.
func (c check) agent() {
	a := c.s.Agent
	for i, p := range a.Allow {
		if p.IsValid() && p != p.Masked() {
			c.Problem(fmt.Sprintf("agent.allow[%d]", i), fmt.Sprintf("%s is an address in a network", p), "write the network: "+p.Masked().String())
		}
	}
	const path = "agent.metrics"
	switch {
	case c.HasError(path):
	case !c.Has(path) && len(a.Allow) > 0:
		c.Problem("agent.allow", "has no effect without agent.metrics", "write metrics: node:9736")
	case c.Has(path):
		c.metrics(path, a.Metrics)
	}
}

// metrics validates the address and the port, and that haproxy does not use it.
func (c check) metrics(path, target string) {
	port, own := strings.CutPrefix(target, "node:")
	at, err := netip.ParseAddrPort(target)
	if own {
		var number uint64
		number, err = strconv.ParseUint(port, 10, 16)
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(number))
	}
	if err != nil || at.Port() == 0 {
		c.Problem(path, quote(target)+" is not an address with a port", "write node:9736, or an IP address and a port")
		return
	}
	if !own && !at.Addr().IsUnspecified() {
		c.usable(path, at.Addr(), true)
	}
	for i := range c.s.Nodes {
		n := &c.s.Nodes[i]
		mine := c.s.MetricsOn(n)
		if st := c.s.Stats; st != nil && int(mine.Port()) == st.Port && (mine.Addr().IsUnspecified() || mine.Addr() == firstAddress(n.Addresses)) {
			c.Problem(path, fmt.Sprintf("port %d of node %s is that of the stats page", mine.Port(), quote(n.Name)), "give the metrics another port")
			return
		}
	}
	for _, svc := range c.s.Services {
		if at.Addr().IsUnspecified() && !own && svc.has(int(at.Port())) {
			c.Problem(path, fmt.Sprintf("port %d is that of service %s", at.Port(), quote(svc.Name)), "give the metrics another port, or an address of the node")
			return
		}
	}
}

func firstAddress(addresses []Address) netip.Addr {
	if len(addresses) == 0 {
		return netip.Addr{}
	}
	return addresses[0].Addr
}
