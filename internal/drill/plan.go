package drill

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/spec"
)

// plan is the plan of the lab for a spec: which machine is on which network, which servers exist, and what clients request.
type plan struct {
	nodes   []node
	servers []server
	targets []target
	notes   []string // what cannot be simulated, and why
}

// node is a load balancer and its network connections.
type node struct {
	name       string // in the spec
	host       string // the name of the host in the lab
	vrrp       string // the interface on which it speaks VRRP
	interfaces []lab.Interface
}

// server is a server behind the load balancers: on a node, or on a network of the lab.
type server struct {
	name    string
	address netip.AddrPort
	status  int    // HTTP status of its answers
	text    string // in their bodies
	talk    *dialogue
	node    string
	network string
}

// target is an address of a VIP, with the requests of its client.
type target struct {
	vip     string
	name    string // name of the VIP, with the address family if it has two addresses
	address netip.Addr
	home    string // the host that must hold the VIP under preempt; empty means any

	// The client. If network is empty, there is no client, and only the holder is watched.
	network string
	client  netip.Prefix
	question
	more []question // of the VIP's other services
	why  string     // why there is no client
}

// nodesNetwork is the network of the nodes' own interfaces.
const nodesNetwork = "nodes"

// networkOf returns the network of an interface of a node. The nodes' own interfaces share a network, and each other name
// has a separate network.
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
	played := map[string]bool{} // services and backends with a simulated server
	for pool := range s.Pools() {
		p.planServers(s, &pool, played)
	}
	for i := range s.VIPs {
		p.planTargets(s, &s.VIPs[i], played, taken)
	}
	if !slices.ContainsFunc(p.targets, func(t target) bool { return t.url != "" }) {
		return nil, fmt.Errorf("cannot drill: no service of this spec can be tested by a client:\n  %s", strings.Join(p.notes, "\n  "))
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

// place finds the node or network of a server. It reports whether it found one.
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

// networkWith returns the network that contains an address, or "" if there is none.
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

// prefixOf returns the prefix of a node's address in the drill; see Prepare.
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

// planTargets adds clients for each service of a VIP that can be simulated. A client requests the first service all the time,
// and the others from time to time.
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
			p.note("no client tests %s at %s: %s; the drill only watches its holder", v.Name, a.Addr, t.why)
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

// planClient adds a client to a target, or returns the reason why it cannot.
func (p *plan) planClient(s *spec.Spec, v *spec.VIP, a spec.Address, t *target, taken map[netip.Addr]bool) (why string) {
	subnet, ok := subnetOf(s, v, a)
	if !ok {
		return "its network is unknown: give the address a prefix length"
	}
	addr, ok := freeAddress(subnet, taken)
	if !ok {
		return fmt.Sprintf("there is no free address in %s", subnet)
	}
	taken[addr] = true
	t.client, t.network = netip.PrefixFrom(addr, subnet.Bits()), networkOf(&s.Nodes[0], v.InterfaceOn(&s.Nodes[0]))
	return ""
}

// home returns the host that has the highest priority for a VIP.
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
