package spec

import (
	"net/netip"
	"slices"
)

// LocalLog is the log target of the machine's own journal or syslog.
const LocalLog = "/dev/log"

// Family is an address family.
type Family int

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf is the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Prefix is the address with its prefix; one that was left out is that of the address alone: /32 or /128.
func (a Address) Prefix() netip.Prefix {
	if a.Bits == 0 {
		return netip.PrefixFrom(a.Addr, a.Addr.BitLen())
	}
	return netip.PrefixFrom(a.Addr, a.Bits)
}

// Node finds a node by its name, nil where there is none.
func (s *Spec) Node(name string) *Node {
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i]
		}
	}
	return nil
}

// VIP finds a VIP by its name, nil where there is none.
func (s *Spec) VIP(name string) *VIP {
	for i := range s.VIPs {
		if s.VIPs[i].Name == name {
			return &s.VIPs[i]
		}
	}
	return nil
}

// Peers are all nodes but n.
func (s *Spec) Peers(n *Node) []*Node {
	var peers []*Node
	for i := range s.Nodes {
		if s.Nodes[i].Name != n.Name {
			peers = append(peers, &s.Nodes[i])
		}
	}
	return peers
}

// Addr is the node's address of a family; the zero Addr where it has none.
func (n *Node) Addr(f Family) netip.Addr { return ofFamily(n.Addresses, f) }

// Addr is the VIP's address of a family; the zero Addr where it has none.
func (v *VIP) Addr(f Family) netip.Addr { return ofFamily(v.Addresses, f) }

func ofFamily(addresses []Address, f Family) netip.Addr {
	for _, a := range addresses {
		if a.Addr.IsValid() && FamilyOf(a.Addr) == f {
			return a.Addr
		}
	}
	return netip.Addr{}
}

// GatewayOf is the router of the VIP's addresses of a family; the zero Addr if they have none.
func (v *VIP) GatewayOf(f Family) netip.Addr {
	for _, g := range v.Gateway {
		if g.IsValid() && FamilyOf(g) == f {
			return g
		}
	}
	return netip.Addr{}
}

// Group returns the VIPs of a group, in the order of the spec.
func (s *Spec) Group(name string) []*VIP {
	var all []*VIP
	for i := range s.VIPs {
		if name != "" && s.VIPs[i].Group == name {
			all = append(all, &s.VIPs[i])
		}
	}
	return all
}

// Groups are the names of the groups of two VIPs or more, in the order of the spec.
func (s *Spec) Groups() []string {
	var names []string
	for _, v := range s.VIPs {
		if len(s.Group(v.Group)) > 1 && !slices.Contains(names, v.Group) {
			names = append(names, v.Group)
		}
	}
	return names
}

// MovesWith returns the VIPs that move together with a VIP, itself among them.
func (s *Spec) MovesWith(v *VIP) []*VIP {
	if v.Group == "" {
		return []*VIP{v}
	}
	return s.Group(v.Group)
}

// VRRPFamily is the family in which VRRP is spoken for a VIP: that of its first address which every node has one of too.
// Under multicast VRRP over IPv6 needs no address but the link-local one, which every interface has. False: no family will do.
//
// The VIP's address of the other family goes to virtual_ipaddress_excluded, which takes it beside one of the instance's
// own in keepalived 1.2.20 and later, so in that of every known release: no VIP needs a second instance.
func (s *Spec) VRRPFamily(v *VIP) (Family, bool) {
	for _, a := range v.Addresses {
		f := FamilyOf(a.Addr)
		if s.speaks(f) || f == IPv6 && s.VRRP.Transport == Multicast {
			return f, true
		}
	}
	return 0, false
}

// speaks tells whether every node has an address of the family.
func (s *Spec) speaks(f Family) bool {
	for i := range s.Nodes {
		if !s.Nodes[i].Addr(f).IsValid() {
			return false
		}
	}
	return true
}

// InterfaceOn is the interface that takes the VIP on a node.
func (v *VIP) InterfaceOn(n *Node) string {
	if v.Interface != "" {
		return v.Interface
	}
	return n.Interface
}

// maxPriority leaves 255 to who owns an address for good, which no node of a cluster does (RFC 9568, 5.2.4).
const maxPriority = 254

// PriorityOf is a node's priority for a VIP: highest for the one that the VIP prefers, then in the order of the nodes.
// Priorities are high and close together because the time that a backup waits before it takes over grows with its
// distance from 256. It is that of a holder (see HolderBonus), without what track scripts add. It is 0 for a node that the spec does not have.
func (s *Spec) PriorityOf(n *Node, v *VIP) int {
	position := -1
	for i := range s.Nodes {
		switch {
		case s.Nodes[i].Name == n.Name && n.Name == v.Prefer:
			position = 0
		case s.Nodes[i].Name == n.Name:
			position = i
		}
	}
	if position < 0 {
		return 0
	}
	if n.Name != v.Prefer {
		for i := range s.Nodes {
			if s.Nodes[i].Name == v.Prefer && i > position {
				position++
			}
		}
	}
	return maxPriority - s.priorityStep()*position - s.raisedBy(v)
}

// raisedBy is what track scripts add to the priority for a VIP while all of them are good.
func (s *Spec) raisedBy(v *VIP) int {
	sum := 0
	for _, member := range s.MovesWith(v) {
		for _, script := range member.TrackScripts {
			sum += max(script.Weight, 0)
		}
	}
	return sum
}

// LowestPriority is the least that a node's priority for a VIP can fall to by track scripts, before keepalived limits it to 1.
func (s *Spec) LowestPriority(v *VIP) int {
	lowest := maxPriority - s.priorityStep()*(len(s.Nodes)-1) - s.raisedBy(v)
	for _, member := range s.MovesWith(v) {
		for _, script := range member.TrackScripts {
			lowest += min(script.Weight, 0)
		}
	}
	return lowest
}

// priorityStep is what lies between the priorities of two nodes.
func (s *Spec) priorityStep() int {
	if maxPriority-2*(len(s.Nodes)-1) < 1 {
		return 1
	}
	return 2
}

// HolderBonus is the part of its priority that a node has only while it holds the VIP, so that it stands above all others:
// one that comes back from a pause believes for a moment that nobody holds the VIP, and must not win then. It is 0 under
// preempt, where the preferred node is to win, and where there are too many nodes for it.
func (s *Spec) HolderBonus() int {
	span := s.priorityStep() * (len(s.Nodes) - 1)
	if s.VRRP.Preempt || maxPriority-2*span-1 < 1 {
		return 0
	}
	return span + 1
}

// AddrPort is where a node's haproxy sends its log by UDP; false where it logs to the local socket.
func (l Log) AddrPort(n *Node) (netip.AddrPort, bool) {
	const syslog = 514
	switch l.Target {
	case LocalLog:
		return netip.AddrPort{}, false
	case "node":
		if len(n.Addresses) == 0 {
			return netip.AddrPort{}, false
		}
		return netip.AddrPortFrom(n.Addresses[0].Addr, syslog), true
	}
	if ap, err := netip.ParseAddrPort(l.Target); err == nil {
		return ap, true
	}
	addr, err := netip.ParseAddr(l.Target)
	return netip.AddrPortFrom(addr, syslog), err == nil
}
