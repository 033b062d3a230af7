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

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Prefix returns the address with its prefix length. If that was omitted, it is /32 or /128.
func (a Address) Prefix() netip.Prefix {
	if a.Bits == 0 {
		return netip.PrefixFrom(a.Addr, a.Addr.BitLen())
	}
	return netip.PrefixFrom(a.Addr, a.Bits)
}

// Node returns the node with a name, or nil.
func (s *Spec) Node(name string) *Node {
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i]
		}
	}
	return nil
}

// VIP returns the VIP with a name, or nil.
func (s *Spec) VIP(name string) *VIP {
	for i := range s.VIPs {
		if s.VIPs[i].Name == name {
			return &s.VIPs[i]
		}
	}
	return nil
}

// Peers returns all nodes except n.
func (s *Spec) Peers(n *Node) []*Node {
	var peers []*Node
	for i := range s.Nodes {
		if s.Nodes[i].Name != n.Name {
			peers = append(peers, &s.Nodes[i])
		}
	}
	return peers
}

// Addr returns the node's address of a family; the zero Addr if it has none.
func (n *Node) Addr(f Family) netip.Addr { return ofFamily(n.Addresses, f) }

// Addr returns the VIP's address of a family; the zero Addr if it has none.
func (v *VIP) Addr(f Family) netip.Addr { return ofFamily(v.Addresses, f) }

func ofFamily(addresses []Address, f Family) netip.Addr {
	for _, a := range addresses {
		if a.Addr.IsValid() && FamilyOf(a.Addr) == f {
			return a.Addr
		}
	}
	return netip.Addr{}
}

// GatewayOf returns the router of the VIP's addresses of a family; the zero Addr if they have none.
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

// Groups returns the names of the groups with two VIPs or more, in the order of the spec.
func (s *Spec) Groups() []string {
	var names []string
	for _, v := range s.VIPs {
		if len(s.Group(v.Group)) > 1 && !slices.Contains(names, v.Group) {
			names = append(names, v.Group)
		}
	}
	return names
}

// MovesWith returns the VIPs that move together with a VIP, including itself.
func (s *Spec) MovesWith(v *VIP) []*VIP {
	if v.Group == "" {
		return []*VIP{v}
	}
	return s.Group(v.Group)
}

// VRRPFamily returns the address family of a VIP's VRRP: that of the VIP's first address of which every node has an address
// too. Multicast VRRP over IPv6 needs only the link-local address, which every interface has. The result is false if there is
// no such family.
//
// Addresses of the other family are in virtual_ipaddress_excluded. keepalived accepts both families in one instance since
// version 1.2.20, so a VIP never needs a second instance.
func (s *Spec) VRRPFamily(v *VIP) (Family, bool) {
	for _, a := range v.Addresses {
		f := FamilyOf(a.Addr)
		if s.speaks(f) || f == IPv6 && s.VRRP.Transport == Multicast {
			return f, true
		}
	}
	return 0, false
}

// speaks reports whether every node has an address of the family.
func (s *Spec) speaks(f Family) bool {
	for i := range s.Nodes {
		if !s.Nodes[i].Addr(f).IsValid() {
			return false
		}
	}
	return true
}

// InterfaceOn returns the interface that gets the VIP on a node.
func (v *VIP) InterfaceOn(n *Node) string {
	if v.Interface != "" {
		return v.Interface
	}
	return n.Interface
}

// maxPriority is below 255, which is reserved for the permanent owner of an address (RFC 9568, 5.2.4).
const maxPriority = 254

// PriorityOf returns a node's priority for a VIP: highest for the preferred node, then in the order of the nodes. Priorities
// are high and close together, because the time for which a backup waits before it takes over grows with 256 minus its
// priority. The result includes the holder's bonus (see HolderBonus), but not the weights of track scripts. It is 0 for a node
// that is not in the spec.
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

// raisedBy returns the sum of the weights that track scripts add to the priority for a VIP while they succeed.
func (s *Spec) raisedBy(v *VIP) int {
	sum := 0
	for _, member := range s.MovesWith(v) {
		for _, script := range member.TrackScripts {
			sum += max(script.Weight, 0)
		}
	}
	return sum
}

// LowestPriority returns the lowest priority to which failed track scripts can lower a node's priority for a VIP. keepalived
// limits the result to 1.
func (s *Spec) LowestPriority(v *VIP) int {
	lowest := maxPriority - s.priorityStep()*(len(s.Nodes)-1) - s.raisedBy(v)
	for _, member := range s.MovesWith(v) {
		for _, script := range member.TrackScripts {
			lowest += min(script.Weight, 0)
		}
	}
	return lowest
}

// priorityStep returns the difference between the priorities of two successive nodes.
func (s *Spec) priorityStep() int {
	if maxPriority-2*(len(s.Nodes)-1) < 1 {
		return 1
	}
	return 2
}

// HolderBonus returns the part of a node's priority that it has only while it holds the VIP, so that the holder's is higher
// than all others. A node that continues after a pause assumes for a moment that the VIP has no holder, and must not win then.
// The bonus is 0 with preempt, because the preferred node must win, and if there are too many nodes for it.
func (s *Spec) HolderBonus() int {
	span := s.priorityStep() * (len(s.Nodes) - 1)
	if s.VRRP.Preempt || maxPriority-2*span-1 < 1 {
		return 0
	}
	return span + 1
}

// AddrPort returns the address to which a node's haproxy sends its log by UDP; false if it logs to the local socket.
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
