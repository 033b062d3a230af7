package neighbor

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Entry is an address on the link of an interface.
type Entry struct {
	Interface string
	Address   netip.Addr
}

// Unresolved returns those of the addresses for which the kernel requests the hardware address without getting an answer.
// Packets to them do not leave this machine. Addresses to which the kernel has not sent anything are not included.
func Unresolved(addrs []netip.Addr) ([]Entry, error) {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETNEIGH, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("cannot list the neighbours: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, fmt.Errorf("cannot list the neighbours: %w", err)
	}
	var all []Entry
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNEIGH || len(m.Data) < unix.SizeofNdMsg {
			continue
		}
		index, state := int(binary.NativeEndian.Uint32(m.Data[4:])), binary.NativeEndian.Uint16(m.Data[8:])
		addr, ok := destination(m.Data[unix.SizeofNdMsg:])
		if state&(unix.NUD_INCOMPLETE|unix.NUD_FAILED) == 0 || !ok || !slices.Contains(addrs, addr) {
			continue
		}
		if i, err := net.InterfaceByIndex(index); err == nil {
			all = append(all, Entry{i.Name, addr})
		}
	}
	return all, nil
}

// destination returns NDA_DST from the attributes of a neighbour, rtnetlink(7).
func destination(attrs []byte) (netip.Addr, bool) {
	for len(attrs) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(attrs))
		if size < unix.SizeofRtAttr || size > len(attrs) {
			break
		}
		if binary.NativeEndian.Uint16(attrs[2:]) == unix.NDA_DST {
			return netip.AddrFromSlice(attrs[unix.SizeofRtAttr:size])
		}
		attrs = attrs[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(attrs)):]
	}
	return netip.Addr{}, false
}

// Greet asks a link for an address as the kernel does, from an address of this machine, and does not wait for an answer. If
// the machine is there, its kernel and this one learn each other's hardware address at once. The kernel itself asks only
// once a second (net.ipv4.neigh.*.retrans_time_ms). It needs CAP_NET_RAW.
func Greet(to Entry, from netip.Addr) error {
	link, _, err := find(to.Interface)
	if err != nil {
		return fmt.Errorf("cannot ask %s for %v: %w", to.Interface, to.Address, err)
	}
	var q question
	if to.Address.Is4() {
		q = arpQuestion(link.HardwareAddr, to.Address)
		copy(q.frame[ethernetHeader+14:], from.AsSlice()) // the sender's address, which a probe does not contain
	} else {
		q = ndQuestion(link.HardwareAddr, from, to.Address)
	}
	f, err := open(link.Index, q)
	if err == nil {
		_, err = f.Write(q.frame)
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("cannot ask %s for %v: %w", to.Interface, to.Address, err)
	}
	return nil
}
