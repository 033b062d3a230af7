// Package vip returns the virtual IPs that this machine holds according to the kernel.
package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/keepalived"
)

// Held is an address that the kernel has on an interface.
type Held struct {
	Interface string
	Address   netip.Addr
}

// Addresses returns all addresses of this machine's interfaces.
func Addresses() ([]Held, error) {
	all, err := list()
	if err != nil {
		return nil, err
	}
	var held []Held
	for _, a := range all {
		held = append(held, Held{a.name, a.prefix.Addr()})
	}
	return held, nil
}

// address is an address in the kernel's list.
type address struct {
	netlink.Addr
	name   string // of its interface
	prefix netip.Prefix
}

// mostDumps is the maximum number of requests if addresses change while the kernel lists them.
const mostDumps = 5

// list returns all addresses of the kernel. It makes one request for all interfaces, because the daemon calls it every few
// seconds.
func list() ([]address, error) {
	var all []netlink.Addr
	err := error(netlink.ErrDumpInterrupted)
	for n := 0; n < mostDumps && errors.Is(err, netlink.ErrDumpInterrupted); n++ {
		all, err = netlink.AddrList(nil, netlink.FAMILY_ALL)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses: %w", err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	names := map[int]string{}
	for _, i := range interfaces {
		names[i.Index] = i.Name
	}
	var found []address
	for _, a := range all {
		name, there := names[a.LinkIndex] // an interface and its addresses may have been removed meanwhile
		if ip, ok := netip.AddrFromSlice(a.IP); ok && there {
			found = append(found, address{a, name, netip.PrefixFrom(ip.Unmap(), prefixLength(a))})
		}
	}
	return found, nil
}

// prefixLength returns the prefix length of an address. On a point-to-point link that is the peer's.
func prefixLength(a netlink.Addr) int {
	mask := a.Mask
	if a.Peer != nil {
		mask = a.Peer.Mask
	}
	n, _ := mask.Size()
	return n
}

// Of returns the addresses of a VIP, and whether each is held on the VIP's interface.
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

// OfInstance returns the addresses of an instance that this machine has.
func OfInstance(in keepalived.Instance, held []Held) []Held {
	var on []Held
	for _, v := range in.VIPs {
		if h := (Held{Interface: v.Interface, Address: v.Address.Addr()}); slices.Contains(held, h) {
			on = append(on, h)
		}
	}
	return on
}
