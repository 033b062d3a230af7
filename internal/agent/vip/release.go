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

// ErrInUse reports that virtual IPs were not removed, because a running keepalived may hold them.
var ErrInUse = errors.New("keepalived runs")

// Releaser removes virtual IPs from this machine that no running keepalived holds.
type Releaser struct {
	VIPs []config.VIP
	// Running returns the process ID of a keepalived that may hold them; 0 if there is none.
	Running func() (pid int, err error)
	ProcSys string // /proc/sys
}

// Released is a virtual IP that was removed from an interface.
type Released struct {
	Interface string
	Address   netip.Prefix
}

func (r Released) String() string {
	return fmt.Sprintf("removed %v from %s, which keepalived had left", r.Address, r.Interface)
}

// Release removes the virtual IPs, each from its own interface, and returns those that it removed. It never touches other
// addresses.
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
		// Checked before each removal: a keepalived that is started now needs three advertisements until it holds an address.
		pid, err := r.Running()
		if err != nil {
			return released, err
		}
		if pid != 0 {
			return released, fmt.Errorf("cannot remove %v from %s: %w (process %d); `systemctl stop keepalived` gives it away", a.prefix, a.name, ErrInUse, pid)
		}
		switch err := r.remove(a, all); {
		case errors.Is(err, unix.EADDRNOTAVAIL): // another process removed it, and announces that
		case err != nil:
			return released, err
		default:
			released = append(released, Released{a.name, a.prefix})
		}
	}
	return released, nil
}

// own reports whether an address is a virtual IP on its interface. The prefix length does not matter.
func (r Releaser) own(a address) bool {
	return slices.ContainsFunc(r.VIPs, func(v config.VIP) bool {
		return v.Interface == a.name && slices.ContainsFunc(v.Addresses, func(p netip.Prefix) bool { return p.Addr() == a.prefix.Addr() })
	})
}

// remove removes an address. If it is the first IPv4 address of a subnet, the kernel also removes the others, which may be the
// user's, unless promote_secondaries is set (the kernel's ip-sysctl).
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
