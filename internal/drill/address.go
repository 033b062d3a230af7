package drill

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/hapair/hapair/internal/spec"
)

// subnetOf returns the network on which a VIP's client is: the VIP's own, or the nodes' network that contains the VIP.
func subnetOf(s *spec.Spec, v *spec.VIP, a spec.Address) (netip.Prefix, bool) {
	if a.Bits != 0 && a.Bits < a.Addr.BitLen() {
		return a.Prefix().Masked(), true
	}
	if v.InterfaceOn(&s.Nodes[0]) != s.Nodes[0].Interface {
		return netip.Prefix{}, false
	}
	for _, own := range s.Nodes[0].Addresses {
		if p := prefixOf(own).Masked(); p.Contains(a.Addr) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// freeAddress returns an address that is not in the spec. The search starts a little above the middle of the network,
// because routers usually have addresses at the ends.
func freeAddress(p netip.Prefix, taken map[netip.Addr]bool) (netip.Addr, bool) {
	first := p.Masked().Addr()
	b := first.AsSlice()
	if host := first.BitLen() - p.Bits(); host > 2 {
		bit := p.Bits()
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	middle, _ := netip.AddrFromSlice(b)
	for _, start := range []netip.Addr{middle.Next(), first.Next()} {
		for a, n := start, 0; n < 4096 && p.Contains(a) && p.Contains(a.Next()); a, n = a.Next(), n+1 {
			if !taken[a] {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// addressesIn returns all addresses in a spec.
func addressesIn(s *spec.Spec) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for _, n := range s.Nodes {
		for _, a := range n.Addresses {
			taken[a.Addr] = true
		}
		for _, a := range slices.Concat(n.Gateway, n.Nameservers) {
			taken[a] = true
		}
		if addr, ok := s.Log.AddrPort(&n); ok {
			taken[addr.Addr()] = true
		}
	}
	for _, v := range s.VIPs {
		for _, a := range v.Addresses {
			taken[a.Addr] = true
		}
		for _, g := range v.Gateway {
			taken[g] = true
		}
		for _, r := range v.Routes {
			taken[r.Via] = true
		}
	}
	for p := range s.Pools() {
		for _, srv := range p.Servers {
			taken[srv.Address.Addr] = true
		}
	}
	return taken
}

// Prepare changes a spec so that it can be booted without DHCP: an address without a prefix length gets the usual one. It
// returns notes about the changes.
func Prepare(s *spec.Spec) (notes []string) {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Network != nil {
			continue
		}
		notes = append(notes, flatten(&n.Device, n.Name)...)
		for j := range n.Interfaces {
			notes = append(notes, flatten(&n.Interfaces[j], n.Name)...)
		}
		for j := range n.Addresses {
			if a := &n.Addresses[j]; a.Bits == 0 {
				a.Bits = usualBits(a.Addr)
				notes = append(notes, n.Name+" has no prefix length in the spec, and the drill has no DHCP: it gets "+a.Addr.String()+"/"+strconv.Itoa(a.Bits))
			}
		}
	}
	for i := range s.VIPs {
		notes = append(notes, flatten(&s.VIPs[i].Device, "every node")...)
	}
	return append(notes, resolve(s)...)
}

// resolve gives servers with DNS names addresses on the nodes' network, because the drill has no name server.
func resolve(s *spec.Spec) (notes []string) {
	taken, known := addressesIn(s), map[string]netip.Addr{}
	for pool := range s.Pools() {
		for i := range pool.Servers {
			a := &pool.Servers[i].Address
			if a.Name == "" || len(s.Nodes[0].Addresses) == 0 {
				continue
			}
			addr, ok := known[a.Name]
			if !ok {
				if addr, ok = freeAddress(prefixOf(s.Nodes[0].Addresses[0]).Masked(), taken); !ok {
					continue
				}
				taken[addr], known[a.Name] = true, addr
				notes = append(notes, a.Name+" is a DNS name in the spec, and here there is no nameserver: "+addr.String()+" is taken")
			}
			*a = spec.ServerAddress{Addr: addr}
		}
	}
	return notes
}

// flatten replaces a bond or a VLAN by an Ethernet device, because not every kernel on which a drill runs has drivers for
// them.
func flatten(i *spec.Interface, node string) (notes []string) {
	if !i.IsBond() && !i.IsVLAN() {
		return nil
	}
	notes = append(notes, i.Name+" of "+node+" is a bond or a VLAN in the spec, but an Ethernet device in the drill")
	*i = spec.Interface{Name: i.Name}
	return notes
}
