package recipe

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/hapair/hapair/internal/spec"
)

// network is a node's network-config of version 2. The interface of the node's own address gets it; those of the VIPs, and
// what they consist of, only come up. Without a prefix in the spec, the platform's own configuration holds.
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
		// The ID is the interface's name: netplan names systemd-networkd's file after it, and so must the drop-in be named.
		config[section].(map[string]map[string]any)[i.Name] = device
	}
	return &Network{Config: config}
}

// device returns the section of network-config that an interface belongs to, and what makes it one.
func device(i spec.Interface) (section string, out map[string]any) {
	out = map[string]any{}
	switch {
	case i.IsBond():
		// Without monitoring a bond never notices that a member's link is down (the kernel's default of miimon is 0).
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

// addressing returns the addresses of a node's interface and what goes with them.
func addressing(s *spec.Spec, n *spec.Node, name string) map[string]any {
	if name != n.Interface {
		advertised := slices.ContainsFunc(s.VIPs, func(v spec.VIP) bool { return v.InterfaceOn(n) == name && v.Addr(spec.IPv6).IsValid() })
		out := static(advertised)
		// without an address it would hold up the boot until "network is online" gives up
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
