package advert

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/keepalived"
)

// hops is the TTL of an advertisement. Receivers drop packets with another TTL, because these came through a router (RFC
// 9568, 5.1.1.3).
const hops = 255

// Resign sends an advertisement of priority 0 for an instance, once to each peer or to the multicast group. A backup that
// can serve takes over after its skew time; a node in FAULT does not react. It needs CAP_NET_RAW.
func Resign(in keepalived.Instance) error {
	if err := resign(in); err != nil {
		return fmt.Errorf("cannot send a priority-0 advertisement for %s: %w", in.Name, err)
	}
	return nil
}

func resign(in keepalived.Instance) error {
	if in.OwnMAC {
		return errors.New("it uses a virtual interface (use_vmac)")
	}
	from, err := source(in)
	if err != nil {
		return err
	}
	fd, err := open(in, from)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	to := in.Peers
	if len(to) == 0 {
		to = []netip.Addr{in.Group4}
		if in.IPv6 {
			to[0] = in.Group6
		}
	}
	for _, peer := range to {
		b, packetErr := packet(in, 0, from, peer)
		if packetErr != nil {
			return packetErr
		}
		if sendErr := unix.Sendto(fd, b, unix.MSG_DONTWAIT, sockaddr(peer, in.Interface)); sendErr != nil {
			err = errors.Join(err, fmt.Errorf("cannot send to %v: %w", peer, sendErr))
		}
	}
	return err
}

// source returns the source address of the instance's advertisements.
func source(in keepalived.Instance) (netip.Addr, error) {
	if in.Source.IsValid() {
		return in.Source, nil
	}
	link, err := net.InterfaceByName(in.Interface)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot read interface %s: %w", in.Interface, err)
	}
	addrs, err := link.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot read the addresses of %s: %w", in.Interface, err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().Is6() != in.IPv6 || in.IPv6 && !p.Addr().IsLinkLocalUnicast() || isVIP(in, p.Addr()) {
			continue
		}
		return p.Addr(), nil
	}
	return netip.Addr{}, fmt.Errorf("%s has no usable source address", in.Interface)
}

func isVIP(in keepalived.Instance, a netip.Addr) bool {
	for _, v := range in.VIPs {
		if v.Address.Addr() == a {
			return true
		}
	}
	return false
}

// open opens a raw socket that sends VRRP from an address. This machine does not receive its packets: a keepalived that
// still runs here would respond to them as the master.
func open(in keepalived.Instance, from netip.Addr) (int, error) {
	family, level := unix.AF_INET, unix.IPPROTO_IP
	options := []int{unix.IP_TTL, unix.IP_MULTICAST_TTL}
	loop := unix.IP_MULTICAST_LOOP
	if in.IPv6 {
		family, level = unix.AF_INET6, unix.IPPROTO_IPV6
		options = []int{unix.IPV6_UNICAST_HOPS, unix.IPV6_MULTICAST_HOPS}
		loop = unix.IPV6_MULTICAST_LOOP
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, Protocol)
	if err != nil {
		return -1, fmt.Errorf("cannot open a raw socket: %w", err)
	}
	for _, option := range options {
		err = errors.Join(err, unix.SetsockoptInt(fd, level, option, hops))
	}
	err = errors.Join(err, unix.SetsockoptInt(fd, level, loop, 0))
	if in.IPv6 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_RAW, unix.IPV6_CHECKSUM, checksumAt))
	}
	if len(in.Peers) == 0 { // a multicast group needs an interface
		err = errors.Join(err, unix.BindToDevice(fd, in.Interface))
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(from, in.Interface))
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot set up a raw socket: %w", err)
	}
	return fd, nil
}

// sockaddr returns an address in the kernel's format. A link-local address also needs its interface.
func sockaddr(a netip.Addr, iface string) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	sa := &unix.SockaddrInet6{Addr: a.As16()}
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() {
		if link, err := net.InterfaceByName(iface); err == nil {
			sa.ZoneId = uint32(link.Index)
		}
	}
	return sa
}
