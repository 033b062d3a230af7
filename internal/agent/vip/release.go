package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/hapair/hapair/internal/agent/config"
)

// ErrInUse says that virtual IPs were left alone because a keepalived runs, whose they are.
var ErrInUse = errors.New("keepalived runs")

// Releaser takes virtual IPs off this machine that no keepalived holds any more.
type Releaser struct {
	VIPs []config.VIP
	// Running finds a process of a keepalived that may hold them; 0 means that there is none.
	Running func() (pid int, err error)
	ProcSys string // /proc/sys
}

// Released is a virtual IP that was taken off an interface.
type Released struct {
	Interface string
	Address   netip.Prefix
}

func (r Released) String() string {
	return fmt.Sprintf("took %v off %s, which keepalived had left behind", r.Address, r.Interface)
}

// Release takes them off, each from its own interface, and returns those that it took off. Addresses that equal no virtual IP
// are never touched.
func (r Releaser) Release() ([]Released, error) {
	all, err := list()
	if err != nil {
		return nil, err
	}
	var stale []address
	for _, a := range all {
		if r.own(a) {
			stale = append(stale, a)
		}
	}
	var released []Released
	for _, a := range stale {
		// Asked before each one: a keepalived that is started now takes three advertisements to hold an address.
		pid, err := r.Running()
		if err != nil {
			return released, err
		}
		if pid != 0 {
			return released, fmt.Errorf("cannot take %v off %s: %w (process %d); `systemctl stop keepalived` gives it away", a.prefix, a.name, ErrInUse, pid)
		}
		switch err := r.remove(a, all); {
		case errors.Is(err, syscall.EADDRNOTAVAIL): // another process took it off, and announces it
		case err != nil:
			return released, err
		default:
			released = append(released, Released{a.name, a.prefix})
		}
	}
	return released, nil
}

// own tells whether an address is a virtual IP, on its interface. The prefix does not matter.
func (r Releaser) own(a address) bool {
	return slices.ContainsFunc(r.VIPs, func(v config.VIP) bool {
		return v.Interface == a.name && slices.ContainsFunc(v.Addresses, func(p netip.Prefix) bool { return p.Addr() == a.prefix.Addr() })
	})
}

// remove removes an address. With the first IPv4 address of a subnet the kernel removes the others too, unless it is told
// to make the next one the first (promote_secondaries, in the kernel's ip-sysctl): they may be the user's.
func (r Releaser) remove(a address, all []address) error {
	neighbour := func(b address) bool {
		return b.index == a.index && b.prefix.Masked() == a.prefix.Masked() && !r.own(b)
	}
	if a.family == syscall.AF_INET && slices.ContainsFunc(all, neighbour) {
		path := filepath.Join(r.ProcSys, "net/ipv4/conf", a.name, "promote_secondaries")
		before, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot take %v off %s and keep the other addresses of its subnet: %w", a.prefix, a.name, err)
		}
		if err := os.WriteFile(path, []byte("1\n"), 0); err != nil {
			return fmt.Errorf("cannot take %v off %s and keep the other addresses of its subnet: %w", a.prefix, a.name, err)
		}
		defer os.WriteFile(path, before, 0)
	}
	if err := request(a); err != nil {
		return fmt.Errorf("cannot take %v off %s: %w", a.prefix, a.name, err)
	}
	return nil
}

// address is one as the kernel lists it.
type address struct {
	index  int // of the interface
	name   string
	prefix netip.Prefix
	family uint8  // of sockets
	attrs  []byte // IFA_LOCAL and IFA_ADDRESS, as they came
}

// list asks the kernel for all addresses: rtnetlink(7).
func list() ([]address, error) {
	rib, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses: %w", err)
	}
	var all []address
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg {
			continue
		}
		a, ok, err := parse(m)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, a)
		}
	}
	return all, nil
}

// parse reads one RTM_NEWADDR. ok is false where its interface has gone meanwhile.
func parse(m syscall.NetlinkMessage) (a address, ok bool, err error) {
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return a, false, fmt.Errorf("cannot list the addresses: %w", err)
	}
	a.family, a.index = m.Data[0], int(binary.NativeEndian.Uint32(m.Data[4:]))
	var ip netip.Addr
	for _, attr := range attrs {
		switch attr.Attr.Type {
		case syscall.IFA_LOCAL: // of a point-to-point link, where the other one is the peer's
			ip, _ = netip.AddrFromSlice(attr.Value)
		case syscall.IFA_ADDRESS:
			if !ip.IsValid() {
				ip, _ = netip.AddrFromSlice(attr.Value)
			}
		default:
			continue
		}
		a.attrs = append(a.attrs, attribute(attr)...)
	}
	i, err := net.InterfaceByIndex(a.index)
	if err != nil || !ip.IsValid() {
		return a, false, nil
	}
	a.name, a.prefix = i.Name, netip.PrefixFrom(ip, int(m.Data[1]))
	return a, true, nil
}

func attribute(a syscall.NetlinkRouteAttr) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(syscall.SizeofRtAttr+len(a.Value)))
	b = binary.NativeEndian.AppendUint16(b, a.Attr.Type)
	return append(b, a.Value...) // 4 or 16 bytes: no padding
}

// request asks the kernel to delete an address and reads its answer.
func request(a address) error {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	msg := binary.NativeEndian.AppendUint32(nil, uint32(syscall.NLMSG_HDRLEN+syscall.SizeofIfAddrmsg+len(a.attrs)))
	msg = binary.NativeEndian.AppendUint16(msg, syscall.RTM_DELADDR)
	msg = binary.NativeEndian.AppendUint16(msg, syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
	msg = append(msg, make([]byte, 8)...) // sequence number and port: there is one request, and one answer
	msg = append(msg, a.family, uint8(a.prefix.Bits()), 0, 0)
	msg = binary.NativeEndian.AppendUint32(msg, uint32(a.index))
	msg = append(msg, a.attrs...)
	if err := syscall.Sendto(fd, msg, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < syscall.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(answer[4:]) != syscall.NLMSG_ERROR {
		return errors.New("the kernel gave no answer")
	}
	if code := int32(binary.NativeEndian.Uint32(answer[syscall.NLMSG_HDRLEN:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}
