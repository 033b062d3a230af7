package drill

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/spec"
)

// plan is what the lab needs for a spec: who is on which network, who serves what, who asks for what.
type plan struct {
	nodes   []node
	servers []server
	targets []target
	notes   []string // what is left out, and why
}

// node is a load balancer and its cables.
type node struct {
	name       string // in the spec
	host       string // in the lab: the name of the host
	vrrp       string // the interface that speaks VRRP
	interfaces []lab.Interface
}

// server is one of those behind the load balancers: on a node, or on a network of the lab.
type server struct {
	name    string
	address netip.AddrPort
	status  int    // of its answers
	text    string // in their bodies
	talk    *dialogue
	node    string
	network string
}

// target is an address of a VIP, and what a client asks of it.
type target struct {
	vip     string
	name    string // the VIP's; with the family where it has two addresses
	address netip.Addr
	home    string // the host that is to hold it under preempt; empty: any

	// The client. Without a network there is none: only the holder is followed.
	network string
	client  netip.Prefix
	question
	more []question // of the VIP's other services
	why  string     // there is no client
}

// nodesNetwork is the one that the nodes' own interfaces are on.
const nodesNetwork = "nodes"

// networkOf is the network of an interface of a node: that of all nodes for its own, and one for each other name.
func networkOf(n *spec.Node, iface string) string {
	if iface == n.Interface {
		return nodesNetwork
	}
	return iface
}

func newPlan(s *spec.Spec) (*plan, error) {
	p := &plan{}
	for i := range s.Nodes {
		p.nodes = append(p.nodes, planNode(s, &s.Nodes[i]))
	}
	taken := addressesIn(s)
	played := map[string]bool{} // services and backends with a server that is played
	for _, pool := range s.Pools() {
		p.planServers(s, &pool, played)
	}
	for i := range s.VIPs {
		p.planTargets(s, &s.VIPs[i], played, taken)
	}
	if !slices.ContainsFunc(p.targets, func(t target) bool { return t.url != "" }) {
		return nil, fmt.Errorf("cannot drill: no client can ask for a service of this spec:\n  %s", strings.Join(p.notes, "\n  "))
	}
	return p, nil
}

func planNode(s *spec.Spec, n *spec.Node) node {
	out := node{name: n.Name, host: n.Hostname, vrrp: n.Interface}
	var names []string
	for _, i := range s.InterfacesOf(n) {
		names = append(names, i.Name)
	}
	if ethernets, ok := n.Network["ethernets"].(map[string]any); ok {
		for id, entry := range ethernets {
			config, _ := entry.(map[string]any)
			switch name, renamed := config["set-name"].(string); {
			case renamed:
				names = append(names, name)
			case config["match"] == nil:
				names = append(names, id)
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		out.interfaces = append(out.interfaces, lab.Interface{Name: name, Network: networkOf(n, name)})
	}
	return out
}

// place finds where a server stands.
func (p *plan) place(s *spec.Spec, out *server) bool {
	addr := out.address.Addr()
	for i := range s.Nodes {
		if slices.ContainsFunc(s.Nodes[i].Addresses, func(a spec.Address) bool { return a.Addr == addr }) {
			out.node = s.Nodes[i].Hostname
			return true
		}
	}
	out.network = networkWith(s, addr)
	return out.network != ""
}

// networkWith is the network that an address is on; empty where none is known.
func networkWith(s *spec.Spec, addr netip.Addr) string {
	for i := range s.Nodes {
		for _, a := range s.Nodes[i].Addresses {
			if prefixOf(a).Masked().Contains(addr) {
				return nodesNetwork
			}
		}
	}
	for i := range s.VIPs {
		for _, a := range s.VIPs[i].Addresses {
			if a.Bits != 0 && a.Prefix().Masked().Contains(addr) {
				return networkOf(&s.Nodes[0], s.VIPs[i].InterfaceOn(&s.Nodes[0]))
			}
		}
	}
	return ""
}

// prefixOf is the prefix that a node's address has in the drill; see Prepare.
func prefixOf(a spec.Address) netip.Prefix {
	if a.Bits != 0 {
		return a.Prefix()
	}
	return netip.PrefixFrom(a.Addr, usualBits(a.Addr))
}

func usualBits(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}

// planTargets has a client ask each service of a VIP that can be played: the first all the time, the others now and then.
func (p *plan) planTargets(s *spec.Spec, v *spec.VIP, played map[string]bool, taken map[netip.Addr]bool) {
	for _, a := range v.Addresses {
		t := target{vip: v.Name, name: v.Name, address: a.Addr}
		if len(v.Addresses) > 1 {
			t.name = fmt.Sprintf("%s (IPv%d)", v.Name, spec.FamilyOf(a.Addr))
		}
		if several(v, spec.FamilyOf(a.Addr)) {
			t.name = fmt.Sprintf("%s (%s)", v.Name, a.Addr)
		}
		if s.VRRP.Preempt {
			t.home = home(s, v)
		}
		if t.why = p.planClient(s, v, a, &t, taken); t.why == "" {
			p.planQuestions(s, v, a.Addr, &t, played)
		}
		if t.why != "" {
			t.network, t.client = "", netip.Prefix{}
			p.note("no client asks %s at %s: %s; only its holder is followed", v.Name, a.Addr, t.why)
		}
		p.targets = append(p.targets, t)
	}
}

// several reports whether a VIP has more than one address of a family.
func several(v *spec.VIP, f spec.Family) bool {
	n := 0
	for _, a := range v.Addresses {
		if spec.FamilyOf(a.Addr) == f {
			n++
		}
	}
	return n > 1
}

// planClient gives a target its client, or returns why it has none.
func (p *plan) planClient(s *spec.Spec, v *spec.VIP, a spec.Address, t *target, taken map[netip.Addr]bool) (why string) {
	subnet, ok := subnetOf(s, v, a)
	if !ok {
		return "its network is not known; give it a prefix"
	}
	addr, ok := freeAddress(subnet, taken)
	if !ok {
		return fmt.Sprintf("there is no free address in %s", subnet)
	}
	taken[addr] = true
	t.client, t.network = netip.PrefixFrom(addr, subnet.Bits()), networkOf(&s.Nodes[0], v.InterfaceOn(&s.Nodes[0]))
	return ""
}

// home is the host that has the highest priority for a VIP.
func home(s *spec.Spec, v *spec.VIP) string {
	best := &s.Nodes[0]
	for i := range s.Nodes {
		if s.PriorityOf(&s.Nodes[i], v) > s.PriorityOf(best, v) {
			best = &s.Nodes[i]
		}
	}
	return best.Hostname
}

func (p *plan) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.notes, text) {
		p.notes = append(p.notes, text)
	}
}
