package recipe

import (
	"net/netip"
	"slices"

	"github.com/hapair/hapair/internal/spec"
)

// network is a node's network-config of version 2. The interface of the node's own address gets it, those of the VIPs
// only come up; where the spec says nothing about the network, the platform's own configuration holds.
func network(s *spec.Spec, n *spec.Node) *Network {
	if n.Network != nil {
		return &Network{Config: n.Network}
	}
	var addresses []any
	for _, a := range n.Addresses {
		if a.Bits != 0 {
			addresses = append(addresses, netip.PrefixFrom(a.Addr, a.Bits).String())
		}
	}
	if len(addresses) == 0 {
		return nil
	}
	own := static(n.Addr(spec.IPv6).IsValid() && !slices.ContainsFunc(n.Gateway, netip.Addr.Is6))
	own["addresses"] = addresses
	if routes := defaultRoutes(n.Gateway); routes != nil {
		own["routes"] = routes
	}
	if len(n.Nameservers) > 0 {
		own["nameservers"] = map[string]any{"addresses": texts(n.Nameservers)}
	}
	ethernets := map[string]map[string]any{n.Interface: own}
	for i := range s.VIPs {
		// without an address it would hold up the boot until "network is online" gives up
		if name := s.VIPs[i].InterfaceOn(n); ethernets[name] == nil {
			ethernets[name] = static(s.VIPs[i].Addr(spec.IPv6).IsValid())
			ethernets[name]["optional"] = true
		}
	}
	return &Network{Config: map[string]any{"version": 2, "ethernets": ethernets}}
}

// static is an interface with no other addresses than those of the spec. It takes a router's advertisement only if it may be
// needed: where no router advertises, systemd-networkd 252 and 257 hold up every boot for 12 s to wait for one.
func static(advertised bool) map[string]any {
	out := map[string]any{"dhcp4": false, "dhcp6": false}
	if !advertised {
		out["accept-ra"] = false
	}
	return out
}

func defaultRoutes(gateways []netip.Addr) []any {
	var routes []any
	for _, gw := range gateways {
		to := "0.0.0.0/0"
		if gw.Is6() {
			to = "::/0"
		}
		routes = append(routes, map[string]any{"to": to, "via": gw.String()})
	}
	return routes
}

func texts(addrs []netip.Addr) []any {
	var out []any
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}
