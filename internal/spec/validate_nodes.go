package spec

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hapair/hapair/internal/release"
)

func (c check) nodes() {
	s := c.s
	if c.required("nodes") && len(s.Nodes) < 2 {
		c.Problem("nodes", "a pair must have at least two nodes", "")
	}
	if len(s.Nodes) > maxPriority {
		c.Problem("nodes", fmt.Sprintf("%d nodes are more than VRRP has priorities for", len(s.Nodes)), "at most 254 are allowed")
	}
	names, hosts := map[string]string{}, map[string]string{}
	for i := range s.Nodes {
		n, path := &s.Nodes[i], fmt.Sprintf("nodes[%d]", i)
		if c.HasError(path) {
			continue
		}
		c.nodeName(n, path+".name", names, hosts)
		if c.required(path + ".interface") {
			c.describes(n.Device, path+".interface")
		}
		if c.addresses(path+".address", n.Addresses) {
			c.nodeAddresses(i, n, path+".address")
		}
		c.network(n, path)
		c.interfaces(n, path)
	}
	c.hardwareAddresses()
	c.oneFamily()
}

// nodeName validates a node's name and the resulting host name.
func (c check) nodeName(n *Node, path string, names, hosts map[string]string) {
	if !c.required(path) || !c.name(path, n.Name, nameRule) {
		return
	}
	if first, twice := hosts[strings.ToLower(n.Hostname)]; twice && names[n.Name] == "" {
		c.Problem(path, fmt.Sprintf("%s and %s give the same host name, %s", quote(n.Name), quote(first), n.Hostname), "")
	}
	hosts[strings.ToLower(n.Hostname)] = n.Name
	c.unique(names, path, n.Name, "nodes")
	switch {
	case !hostnameRule.accepts(n.Hostname):
		c.Problem(path, fmt.Sprintf("%s gives the host name %s, which is not valid", quote(n.Name), quote(n.Hostname)),
			`a host name has letters, digits and "-", and ends with a letter or digit`)
	case n.Hostname != n.Name:
		c.Warning(path, fmt.Sprintf("%s is not a valid host name; the host will be named %s", quote(n.Name), n.Hostname),
			fmt.Sprintf("router_id stays %s", n.Name))
	}
}

// nodeAddresses reports addresses that two nodes have.
func (c check) nodeAddresses(i int, n *Node, path string) {
	for j, a := range n.Addresses {
		for k := range c.s.Nodes[:i] {
			if other := &c.s.Nodes[k]; other.Addr(FamilyOf(a.Addr)) == a.Addr {
				c.Problem(c.addressPath(path, j), fmt.Sprintf("node %s has the address %s too", quote(other.Name), a.Addr), "")
			}
		}
	}
}

// oneFamily checks, for unicast, that all nodes have an address of the same family.
func (c check) oneFamily() {
	s := c.s
	if s.VRRP.Transport != Unicast || s.speaks(IPv4) || s.speaks(IPv6) {
		return
	}
	for i := range s.Nodes {
		if !validAddresses(s.Nodes[i].Addresses) {
			return // already reported
		}
	}
	if len(s.Nodes) > 1 {
		c.Problem("nodes", "the nodes have no address family in common: unicast VRRP cannot mix them", "give each node an address of the same family")
	}
}

func validAddresses(addresses []Address) bool {
	for _, a := range addresses {
		if !a.Addr.IsValid() {
			return false
		}
	}
	return len(addresses) > 0
}

// resolvers warns if servers have DNS names and the release may lack /etc/resolv.conf, with which haproxy resolves them:
// haproxy 2.4 to 3.2 do not start without that file. Ubuntu's systemd-resolved always creates it.
func (c check) resolvers(n *Node, path string) {
	r, err := release.Get(c.s.Image.Release)
	if err == nil && r.Distribution == "debian" && len(n.Nameservers) == 0 && c.s.ResolvesNames() {
		c.Warning(path, "has no nameservers, and servers have DNS names: haproxy starts only if the node has an /etc/resolv.conf",
			"list the nameservers for haproxy")
	}
}

// network validates the keys for network-config. It is generated if the address has a prefix length and there is no network
// key. A key without an effect is an error.
func (c check) network(n *Node, path string) {
	for _, key := range []string{"gateway", "nameservers"} {
		if p := path + "." + key; c.Has(p) {
			c.hasEffect(n, path, p)
		}
	}
	for i, a := range n.Nameservers {
		c.usable(fmt.Sprintf("%s.nameservers[%d]", path, i), a, true)
	}
	c.resolvers(n, path)
	c.gateways(n, path+".gateway")
	if version, ok := n.Network["version"]; ok && version != 2 {
		c.Problem(path+".network", "must have version 2", "write version: 2")
	}
	if _, ok := n.Network["network"]; ok {
		c.Problem(path+".network", `contains a key "network" itself`, `write the content of "network:" in a network-config of version 2`)
	}
}

// hasEffect reports whether network-config is generated from a node's keys. If not, it adds a problem at key.
func (c check) hasEffect(n *Node, path, key string) bool {
	switch {
	case n.MakesNetwork():
		return true
	case c.Has(path + ".network"):
		c.Problem(key, "has no effect beside network", "write it into network")
	case !c.HasError(path + ".address"):
		c.Problem(key, "has no effect: without a prefix on the node's address the platform's own network configuration applies", "write the address as 192.0.2.1/24")
	}
	return false
}

func (c check) gateways(n *Node, path string) {
	for i, g := range n.Gateway {
		p := c.addressPath(path, i)
		if !g.IsValid() || c.HasError(p) || c.HasError(path) {
			continue
		}
		if i > 1 || i == 1 && FamilyOf(n.Gateway[0]) == FamilyOf(g) {
			c.Problem(p, "more than one gateway of the same address family", "one, or one of each family")
			continue
		}
		if g.Is6() && g.IsLinkLocalUnicast() && g.Zone() == "" {
			continue
		}
		if !c.usable(p, g, false) {
			continue
		}
		if own := n.Addr(FamilyOf(g)); !own.IsValid() {
			c.Problem(p, fmt.Sprintf("the node has no address of the gateway's family, %s", g), "")
		} else if !contains(n.prefixes(), g) {
			c.Problem(p, fmt.Sprintf("the gateway %s is not in a subnet of the node", g), "if it is on the link without a common subnet, write network: with on-link: true")
		} else if own == g {
			c.Problem(p, "the gateway is the node itself", "")
		}
	}
}

// prefixes returns the networks of the node's own addresses.
func (n *Node) prefixes() []netip.Prefix {
	var known []netip.Prefix
	for _, a := range n.Addresses {
		if a.Addr.IsValid() && a.Bits > 0 {
			known = append(known, a.Prefix().Masked())
		}
	}
	return known
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
