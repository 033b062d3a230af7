// Package neighbor asks a link who answers for an address: by ARP for IPv4, by neighbour solicitation for IPv6. Asking
// changes nobody's neighbour cache of that address, so the holder of a virtual IP can ask about its own.
package neighbor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// How a link is asked.
const (
	// Longest bounds a question whose context has no earlier deadline.
	Longest = time.Second
	// again is how soon a question is repeated: a frame may get lost.
	again = 100 * time.Millisecond
	// attempts bounds how often it is sent. RFC 5227, 2.1.1, sends three, too.
	attempts = 3
	// most bounds how many answerers are told apart.
	most = 64
)

// Ask gives the hardware addresses, other than this machine's own, that answer for an address on the link of an interface
// until ctx ends or Longest is over; none is no error. It needs CAP_NET_RAW.
func Ask(ctx context.Context, iface string, addr netip.Addr) ([]net.HardwareAddr, error) {
	link, own, err := find(iface)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s who answers for %v: %w", iface, addr, err)
	}
	var q question
	if addr = addr.Unmap(); addr.Is4() {
		q = arpQuestion(link.HardwareAddr, addr)
	} else {
		addr = addr.WithZone("")
		q = ndQuestion(link.HardwareAddr, linkLocal(link, addr), addr)
	}
	f, err := open(link.Index, q)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s who answers for %v: %w", iface, addr, err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, Longest)
	defer cancel()
	found, err := converse(ctx, f, q, own)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s who answers for %v: %w", iface, addr, err)
	}
	return found, nil
}

// question is what is sent, and how an answer to it is known.
type question struct {
	frame     []byte
	protocol  uint16 // EtherType
	filter    []unix.SockFilter
	multicast net.HardwareAddr // where answers may be sent, besides to this machine
	answer    func(frame []byte) (net.HardwareAddr, bool)
}

// find is the interface, and the hardware addresses of all of this machine's: each of them answers for all its addresses.
func find(name string) (*net.Interface, []net.HardwareAddr, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, nil, err
	}
	var link *net.Interface
	var own []net.HardwareAddr
	for i := range all {
		if len(all[i].HardwareAddr) == ethernetAddress {
			own = append(own, all[i].HardwareAddr)
		}
		if all[i].Name == name {
			link = &all[i]
		}
	}
	switch {
	case link == nil:
		return nil, nil, errors.New("there is no such interface")
	case len(link.HardwareAddr) != ethernetAddress:
		return nil, nil, errors.New("the interface has no Ethernet address")
	}
	return link, own, nil
}

// linkLocal returns the interface's own IPv6 address, or the zero Addr. It is never the address that is asked for: a question from
// that one would have the machines on the link learn this machine's hardware address for it.
func linkLocal(link *net.Interface, asked netip.Addr) netip.Addr {
	addrs, err := link.Addrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok && addr.Is6() && addr.IsLinkLocalUnicast() && addr != asked {
				return addr
			}
		}
	}
	return netip.Addr{}
}

// open makes a socket that sees answers to a question, and little else: on a busy link the kernel sorts them out.
func open(index int, q question) (*os.File, error) {
	// Without a protocol it sees nothing until the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open a packet socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(q.filter)), Filter: &q.filter[0]})
	if err == nil && q.multicast != nil {
		m := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_MULTICAST, Alen: ethernetAddress}
		copy(m.Address[:], q.multicast)
		err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: q.protocol<<8 | q.protocol>>8, Ifindex: index})
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot set up a packet socket: %w", err)
	}
	return f, nil
}

// converse sends the question and collects answers until ctx ends.
func converse(ctx context.Context, f *os.File, q question, own []net.HardwareAddr) ([]net.HardwareAddr, error) {
	defer context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })()
	var found []net.HardwareAddr
	buf := make([]byte, 2048)
	for sent := 0; ; {
		if sent < attempts {
			if _, err := f.Write(q.frame); err != nil {
				return nil, err
			}
			sent++
		}
		if sent < attempts {
			f.SetReadDeadline(time.Now().Add(again))
		} else {
			f.SetReadDeadline(time.Time{})
		}
		if ctx.Err() != nil { // after the deadline was set, which may have undone the one that ends all
			return ended(ctx, found)
		}
		for {
			n, err := f.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			who, ok := q.answer(buf[:n])
			same := func(h net.HardwareAddr) bool { return bytes.Equal(h, who) }
			if ok && !slices.ContainsFunc(own, same) && !slices.ContainsFunc(found, same) && len(found) < most {
				found = append(found, who)
			}
			if ctx.Err() != nil {
				return ended(ctx, found)
			}
		}
	}
}

// ended is what was found when ctx ended: a deadline is how a question ends, anything else breaks it off.
func ended(ctx context.Context, found []net.HardwareAddr) ([]net.HardwareAddr, error) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, ctx.Err()
	}
	slices.SortFunc(found, func(a, b net.HardwareAddr) int { return bytes.Compare(a, b) })
	return found, nil
}
