package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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
		case errors.Is(err, unix.EADDRNOTAVAIL): // another process took it off, and announces it
		case err != nil:
			return released, err
		default:
			released = append(released, Released{a.name, a.prefix})
		}
	}
	return released, nil
}

// own reports whether an address is a virtual IP, on its interface. The prefix does not matter.
func (r Releaser) own(a address) bool {
	return slices.ContainsFunc(r.VIPs, func(v config.VIP) bool {
		return v.Interface == a.name && slices.ContainsFunc(v.Addresses, func(p netip.Prefix) bool { return p.Addr() == a.prefix.Addr() })
	})
}

// remove removes an address. With the first IPv4 address of a subnet the kernel removes the others too, unless it is told
// to make the next one the first (promote_secondaries, in the kernel's ip-sysctl): they may be the user's.
func (r Releaser) remove(a address, all []address) error {
	neighbour := func(b address) bool {
		return b.LinkIndex == a.LinkIndex && b.prefix.Masked() == a.prefix.Masked() && !r.own(b)
	}
	if a.prefix.Addr().Is4() && slices.ContainsFunc(all, neighbour) {
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
	if err := netlink.AddrDel(nil, &a.Addr); err != nil {
		return fmt.Errorf("cannot take %v off %s: %w", a.prefix, a.name, err)
	}
	return nil
}
