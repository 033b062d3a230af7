package recipe

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/hapair/hapair/internal/spec"
)

// network returns a node's network-config, version 2. The interface of the node's own address gets it; those of VIPs, and their
// parts, are only brought up. Without a prefix length in the spec, the platform's configuration applies.
func network(s *spec.Spec, n *spec.Node) *Network {
	if n.Network != nil {
		return &Network{Config: n.Network}
	}
	if !n.MakesNetwork() {
		return nil
	}
	config := map[string]any{"version": 2}
	for _, i := range s.InterfacesOf(n) {
		section, device := device(i)
		for key, value := range addressing(s, n, i.Name) {
			device[key] = value
		}
		if config[section] == nil {
			config[section] = map[string]map[string]any{}
		}
		// The ID is the interface's name: netplan names systemd-networkd's file after it, and the drop-in's name must match.
		config[section].(map[string]map[string]any)[i.Name] = device
	}
	return &Network{Config: config}
}

// device returns the section of network-config for an interface, and its entry.
func device(i spec.Interface) (section string, out map[string]any) {
	out = map[string]any{}
	switch {
	case i.IsBond():
		// Without monitoring, a bond does not notice that a member's link is down (the kernel's default of miimon is 0).
		parameters := map[string]any{"mode": "active-backup", "mii-monitor-interval": 100}
		maps.Copy(parameters, i.Parameters)
		if i.Mode != "" {
			parameters["mode"] = i.Mode
		}
		out["interfaces"], out["parameters"] = i.Bond, parameters
		return "bonds", out
	case i.IsVLAN():
		out["id"], out["link"] = i.VLAN, i.Link
		return "vlans", out
	case i.MAC != "":
		out["match"], out["set-name"] = map[string]any{"macaddress": i.MAC}, i.Name
	}
	return "ethernets", out
}

// addressing returns the part of an interface's entry with the node's addresses.
func addressing(s *spec.Spec, n *spec.Node, name string) map[string]any {
	if name != n.Interface {
		advertised := slices.ContainsFunc(s.VIPs, func(v spec.VIP) bool { return v.InterfaceOn(n) == name && v.Addr(spec.IPv6).IsValid() })
		out := static(advertised)
		// without an address it would delay the boot until "network is online" times out
		out["optional"] = true
		return out
	}
	out := static(n.Addr(spec.IPv6).IsValid() && !slices.ContainsFunc(n.Gateway, netip.Addr.Is6))
	var addresses []any
	for _, a := range n.Addresses {
		if a.Bits != 0 {
			addresses = append(addresses, netip.PrefixFrom(a.Addr, a.Bits).String())
		}
	}
	out["addresses"] = addresses
	if routes := defaultRoutes(n.Gateway); routes != nil {
		out["routes"] = routes
	}
	if len(n.Nameservers) > 0 {
		out["nameservers"] = map[string]any{"addresses": texts(n.Nameservers)}
	}
	return out
}

// static returns an interface with no other addresses than those of the spec. It accepts router advertisements only if they may
// be needed: on a network without them, systemd-networkd 252 and 257 delay every boot by 12 s to wait for one.
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
