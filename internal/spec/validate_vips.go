package spec

import (
	"fmt"
	"net/netip"
	"time"
)

func (c check) vips() {
	s := c.s
	if c.required("vips") && len(s.VIPs) == 0 {
		c.Problem("vips", "a cluster must have at least one VIP", "")
	}
	if len(s.VIPs) > 255 {
		c.Problem("vips", fmt.Sprintf("%d VIPs are more than VRRP has ids for", len(s.VIPs)), "at most 255 are allowed")
	}
	names, taken := map[string]string{}, c.taken()
	for i := range s.VIPs {
		v, path := &s.VIPs[i], fmt.Sprintf("vips[%d]", i)
		if c.HasError(path) {
			continue
		}
		if c.required(path+".name") && c.name(path+".name", v.Name, nameRule) {
			c.unique(names, path+".name", v.Name, "VIPs")
		}
		c.vipInterface(v, path+".interface")
		if c.written(path+".prefer") && s.Node(v.Prefer) == nil {
			c.Problem(path+".prefer", "there is no node "+quote(v.Prefer), meant(v.Prefer, s.nodeNames()))
		}
		c.routerID(i, v, path+".virtual_router_id")
		if c.required(path+".address") && c.vipAddressCount(v, path+".address") && c.eachAddress(path+".address", v.Addresses) {
			c.vipAddresses(v, path+".address", taken)
		}
		c.vipOptions(i, v, path)
	}
	c.vipGroups()
}

// MaxVIPAddresses is the maximum number of addresses of a VIP. The agent sends a question for each of them.
const MaxVIPAddresses = 128

func (c check) vipAddressCount(v *VIP, path string) bool {
	if n := len(v.Addresses); n > MaxVIPAddresses {
		c.Problem(path, fmt.Sprintf("has %d addresses", n), fmt.Sprintf("at most %d are allowed; several VIPs of one group move together", MaxVIPAddresses))
		return false
	}
	return true
}

func (s *Spec) nodeNames() []string {
	var names []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// routerID validates a given ID. VRRP runs on the nodes' own interface for every VIP, so two VIPs of the same family must have
// different IDs, even if their addresses are on different interfaces.
func (c check) routerID(i int, v *VIP, path string) {
	if !c.written(path) {
		return
	}
	if v.VirtualRouterID < 1 || v.VirtualRouterID > 255 {
		c.Problem(path, fmt.Sprintf("%d is out of range", v.VirtualRouterID), "must be 1 to 255; if it is left out, it is derived")
		return
	}
	family, _ := c.s.VRRPFamily(v)
	for j := range c.s.VIPs[:i] {
		other := &c.s.VIPs[j]
		if f, _ := c.s.VRRPFamily(other); other.VirtualRouterID == v.VirtualRouterID && f == family {
			c.Problem(path, fmt.Sprintf("VIP %s has the virtual_router_id %d too", quote(other.Name), v.VirtualRouterID),
				fmt.Sprintf("it is on line %d; if it is left out, it is derived", c.Line(fmt.Sprintf("vips[%d].virtual_router_id", j))))
			return
		}
	}
}

// taken maps each address that a VIP cannot have to its owner.
func (c check) taken() map[netip.Addr]string {
	taken := map[netip.Addr]string{}
	for _, n := range c.s.Nodes {
		for _, g := range n.Gateway {
			taken[g] = "the gateway of node " + quote(n.Name)
		}
	}
	for p := range c.s.Pools() {
		for _, server := range p.Servers {
			taken[server.Address.Addr] = "server " + quote(server.Name) + " of service " + quote(p.Name)
		}
	}
	delete(taken, netip.Addr{}) // of servers with DNS names
	for _, n := range c.s.Nodes {
		for _, a := range n.Addresses {
			taken[a.Addr] = "node " + quote(n.Name)
		}
	}
	return taken
}

func (c check) vipAddresses(v *VIP, path string, taken map[netip.Addr]string) {
	for i, a := range v.Addresses {
		p := c.addressPath(path, i)
		if whose, ok := taken[a.Addr]; ok {
			c.Problem(p, fmt.Sprintf("%s is the address of %s", a.Addr, whose), "a VIP moves between the nodes and needs a separate address")
			continue
		}
		taken[a.Addr] = "VIP " + quote(v.Name)
		c.subnet(v, a, p)
	}
	if _, ok := c.s.VRRPFamily(v); !ok && !c.nodesTold() {
		c.Problem(path, fmt.Sprintf("not every node has an address of the family that VRRP would use for %s", v.Addresses[0].Addr),
			"give each node an address of that family, or give the VIP an address of the nodes' family too")
	}
}

// nodesTold reports whether the nodes' families are unknown, or are reported as a separate problem.
func (c check) nodesTold() bool {
	for i := range c.s.Nodes {
		if !validAddresses(c.s.Nodes[i].Addresses) {
			return true
		}
	}
	return c.HasError("nodes") || len(c.s.Nodes) == 0
}

// subnet checks, on every node, that a VIP is in a known subnet of its interface.
func (c check) subnet(v *VIP, a Address, path string) {
	for i := range c.s.Nodes {
		n := &c.s.Nodes[i]
		iface := v.InterfaceOn(n)
		if contains(n.subnetsOf(iface), a.Addr) {
			continue
		}
		if !interfaceRule.accepts(iface) || !validAddresses(n.Addresses) {
			continue // already reported
		}
		if v.GatewayOf(FamilyOf(a.Addr)).IsValid() {
			continue // clients reach it through its router
		}
		if v.Interface == "" || a.Bits == 0 {
			c.Problem(path, fmt.Sprintf("%s is not in a known subnet of %s on node %s", a.Addr, iface, quote(n.Name)),
				"set the VIP's interface, and write its address with a prefix length, as in 192.0.2.1/24")
		} else {
			c.Warning(path, fmt.Sprintf("%s is not in a known subnet of %s", a.Addr, iface),
				fmt.Sprintf("a client needs an address in %s on the segment of %s, or a route to it there", a.Prefix().Masked(), iface))
		}
		return
	}
}

// subnetsOf returns the known subnets of an interface: those of the node's address, and of the node's network key.
func (n *Node) subnetsOf(iface string) []netip.Prefix {
	var known []netip.Prefix
	if iface == n.Interface {
		known = n.prefixes()
	}
	for _, device := range n.networkDevices(iface) {
		addresses, _ := device.config["addresses"].([]any)
		for _, a := range addresses {
			text, ok := a.(string)
			if options, isMap := a.(map[string]any); isMap && len(options) == 1 {
				for text = range options {
					ok = true
				}
			}
			if p, err := netip.ParsePrefix(text); ok && err == nil {
				known = append(known, p.Masked())
			}
		}
	}
	return known
}

func (c check) vrrp() {
	const step, least, most = 10 * time.Millisecond, 10 * time.Millisecond, 40950 * time.Millisecond
	const path = "vrrp.advert_int"
	switch interval := c.s.VRRP.AdvertInt; {
	case c.HasError(path):
	case interval < least || interval > most || interval%step != 0:
		// RFC 9568, 5.2.7: 12 bits, in hundredths of a second.
		c.Problem(path, fmt.Sprintf("keepalived cannot advertise every %s", interval), "VRRP version 3 allows 10ms to 40.95s, in steps of 10ms")
	case interval < 3*step:
		c.Warning(path, fmt.Sprintf("every %s is so often that a busy machine misses advertisements, and VIPs move without reason", interval), "30ms or more was reliable in our tests")
	}
	if t := c.s.VRRP.Transport; !c.HasError("vrrp.transport") && t != Unicast && t != Multicast {
		c.Problem("vrrp.transport", quote(string(t))+" is no transport", meant(string(t), []string{string(Unicast), string(Multicast)}))
	}
}
