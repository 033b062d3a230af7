// Package vip tells which virtual IPs this machine holds, as the kernel says it.
package vip

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/hapair/hapair/internal/agent/config"
)

// Held is an address that the kernel has on an interface.
type Held struct {
	Interface string
	Address   netip.Addr
}

// Addresses are all that the kernel has.
func Addresses() ([]Held, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	var held []Held
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue // the interface went away meanwhile, and its addresses with it
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(n.IP); ok {
					held = append(held, Held{i.Name, addr.Unmap()})
				}
			}
		}
	}
	return held, nil
}

// Of are the addresses of a VIP, each with whether it is held on the VIP's interface.
func Of(v config.VIP, all []Held) (held, missing []netip.Addr) {
	for _, p := range v.Addresses {
		found := false
		for _, h := range all {
			if h.Address == p.Addr() && (v.Interface == "" || h.Interface == v.Interface) {
				found = true
			}
		}
		if found {
			held = append(held, p.Addr())
		} else {
			missing = append(missing, p.Addr())
		}
	}
	return held, missing
}
