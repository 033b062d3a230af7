package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// linksOf opens a netlink connection for a network namespace. The caller closes it.
func linksOf(path string) (*netlink.Handle, error) {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the network namespace %s: %w", path, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the network namespace %s: %w", path, err)
	}
	return h, nil
}

// setUpLinks brings up lo and creates the interfaces. Each is one end of a veth pair, because not every kernel has the dummy
// driver, and dummy interfaces have no multicast.
func setUpLinks(netns string, o sandboxOptions) error {
	h, err := linksOf(netns)
	if err != nil {
		return err
	}
	defer h.Close()
	names := []string{"lo"}
	for i, name := range o.interfaces {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		peer := fmt.Sprintf("peer%d", i)
		if err := h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer}); err != nil {
			return fmt.Errorf("cannot make interface %s: %w", name, err)
		}
		names = append(names, peer, name)
	}
	for _, name := range names {
		if err := setLink(h, name, true); err != nil {
			return err
		}
	}
	for _, a := range o.addresses {
		if err := addAddress(h, a.name, a.prefix); err != nil {
			return err
		}
	}
	return nil
}

func setLink(h *netlink.Handle, name string, up bool) error {
	link, err := h.LinkByName(name)
	if err == nil && up {
		err = h.LinkSetUp(link)
	} else if err == nil {
		err = h.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("cannot set interface %s up or down: %w", name, err)
	}
	return nil
}

func addAddress(h *netlink.Handle, name string, prefix netip.Prefix) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("cannot find interface %s: %w", name, err)
	}
	addr, err := netlink.ParseAddr(prefix.String())
	if err != nil {
		return fmt.Errorf("cannot use address %s: %w", prefix, err)
	}
	if prefix.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD // usable at once, without duplicate address detection
	}
	if err := h.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("cannot give interface %s the address %s: %w", name, prefix, err)
	}
	return nil
}

// addressesOf returns the addresses of an interface, or of all interfaces if the name is empty.
func addressesOf(netns, iface string) ([]netip.Prefix, error) {
	h, err := linksOf(netns)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var link netlink.Link
	if iface != "" {
		if link, err = h.LinkByName(iface); err != nil {
			return nil, fmt.Errorf("cannot find interface %s: %w", iface, err)
		}
	}
	list, err := h.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses of %s: %w", netns, err)
	}
	var prefixes []netip.Prefix
	for _, a := range list {
		if p, ok := prefixOf(*a.IPNet); ok {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes, nil
}

func prefixOf(n net.IPNet) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), bits), ok
}

// setHardwareAddress sets the hardware address of an interface, which is the same at every boot, like that of a real card.
// Otherwise the other machines on the network would use the old address until they notice the change.
func setHardwareAddress(netns, iface string, mac net.HardwareAddr) error {
	h, err := linksOf(netns)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(iface)
	if err == nil {
		err = h.LinkSetHardwareAddr(link, mac)
	}
	if err != nil {
		return fmt.Errorf("cannot set the hardware address of %s: %w", iface, err)
	}
	return nil
}
