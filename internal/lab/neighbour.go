package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Neighbour returns the hardware address that the client's kernel has learned for an address, or nil if it has not learned
// one.
func (c *Client) Neighbour(addr netip.Addr) (net.HardwareAddr, error) {
	h, err := linksOf(c.lab.netnsPath(c.name))
	if err != nil {
		return nil, err
	}
	defer h.Close()
	list, err := h.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("cannot list the neighbours of %s: %w", c.name, err)
	}
	for _, n := range list {
		if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == addr {
			return n.HardwareAddr, nil
		}
	}
	return nil, nil
}
