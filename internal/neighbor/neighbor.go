// Package neighbor asks on a link which machines answer for an address: with ARP for IPv4, and with neighbour solicitation
// for IPv6. A question does not change the neighbour caches for that address, so the holder of a virtual IP can ask about
// its own address.
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

// Timing and limits of a question.
const (
	// Longest is the time limit for a question whose context has no earlier deadline.
	Longest = time.Second
	// again is the interval at which a question is repeated, because a frame may get lost.
	again = 100 * time.Millisecond
	// attempts is the number of times that a question is sent. RFC 5227, 2.1.1, also sends three.
	attempts = 3
	// most is the maximum number of machines that are reported.
	most = 64
)

// Ask returns the hardware addresses, other than this machine's own, of machines that answer for an address on the link of
// an interface, until ctx ends or Longest is over. It is not an error if there are none. It needs CAP_NET_RAW.
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

// question is a frame to send, with the rules to recognize an answer.
type question struct {
	frame     []byte
	protocol  uint16 // EtherType
	filter    []unix.SockFilter
	multicast net.HardwareAddr // destination of answers that are not sent to this machine
	answer    func(frame []byte) (net.HardwareAddr, bool)
}

// find returns the interface, and the hardware addresses of all interfaces of this machine: each of them answers for all
// addresses of this machine.
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
		return nil, nil, errors.New("the interface does not exist")
	case len(link.HardwareAddr) != ethernetAddress:
		return nil, nil, errors.New("the interface has no Ethernet address")
	}
	return link, own, nil
}

// linkLocal returns the interface's own IPv6 address, or the zero Addr. It never returns the address that is asked about: a
// question from that address would make the machines on the link learn this machine's hardware address for it.
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

// open opens a socket that receives answers to a question, and little else: on a busy link the kernel filters the packets.
func open(index int, q question) (*os.File, error) {
	// Without a protocol, the socket receives nothing until the filter is set.
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
		if ctx.Err() != nil { // checked after the deadline was set, which may have replaced the deadline that ends the call
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

// ended returns the result when ctx has ended. A deadline is the normal end; any other reason is an error.
func ended(ctx context.Context, found []net.HardwareAddr) ([]net.HardwareAddr, error) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, ctx.Err()
	}
	slices.SortFunc(found, func(a, b net.HardwareAddr) int { return bytes.Compare(a, b) })
	return found, nil
}
