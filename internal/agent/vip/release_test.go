package vip

import (
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/testing/needs"
)

// inNetwork runs f on a thread in a new network namespace, which has the interfaces eth3 and eth4.
func inNetwork(t *testing.T, f func()) {
	t.Helper()
	needs.Lab(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its namespace end with the test
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth3"
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth4"}); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func add(t *testing.T, on, address string) {
	t.Helper()
	link, err := netlink.LinkByName(on)
	if err != nil {
		t.Error(err)
		return
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		t.Error(err)
		return
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		t.Errorf("cannot add %s to %s: %v", address, on, err)
	}
}

// addresses returns the addresses of the namespace, as "eth4 192.0.2.1/24".
func addresses(t *testing.T) []string {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Error(err)
	}
	var out []string
	for _, a := range all {
		out = append(out, a.name+" "+a.prefix.String())
	}
	slices.Sort(out)
	return out
}

func vips() []config.VIP {
	return []config.VIP{
		{Name: "public", Interface: "eth4", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.32/24"), netip.MustParsePrefix("2001:db8::32/64")}},
		{Name: "second", Interface: "eth4", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.33/24")}},
		{Name: "inside", Interface: "eth3", Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/32")}},
	}
}

func nobody() (int, error) { return 0, nil }

func TestReleaseRemovesOnlyVIPs(t *testing.T) {
	inNetwork(t, func() {
		for _, a := range []string{"192.0.2.32/24", "192.0.2.33/24", "192.0.2.40/24", "203.0.113.1/24", "2001:db8::32/64", "2001:db8::40/64"} {
			add(t, "eth4", a) // the VIP is the first address of its subnet
		}
		add(t, "eth3", "192.0.2.32/32") // the operator's own address, on another interface
		add(t, "eth3", "198.51.100.1/24")
		r := Releaser{VIPs: vips(), Running: nobody, ProcSys: "/proc/sys"}
		released, err := r.Release()
		if err != nil || len(released) != 4 {
			t.Errorf("released %v, %v", released, err)
		}
		want := "eth3 192.0.2.32/32, eth4 192.0.2.40/24, eth4 2001:db8::40/64, eth4 203.0.113.1/24"
		if got := strings.Join(addresses(t), ", "); got != want {
			t.Errorf("these addresses are left:\n%s\nwant\n%s", got, want)
		}
		if released, err := r.Release(); err != nil || len(released) != 0 {
			t.Errorf("the second release removed %v, %v", released, err)
		}
	})
}

func TestReleaseKeepsTheVIPsOfARunningKeepalived(t *testing.T) {
	inNetwork(t, func() {
		add(t, "eth4", "192.0.2.32/24")
		add(t, "eth4", "192.0.2.33/24")
		before := addresses(t)
		asked := 0
		r := Releaser{VIPs: vips(), ProcSys: "/proc/sys", Running: func() (int, error) { asked++; return 7, nil }}
		if released, err := r.Release(); !errors.Is(err, ErrInUse) || len(released) > 0 {
			t.Errorf("while keepalived runs, released %v, %v; want none", released, err)
		}
		r.Running = func() (int, error) { return 0, errors.New("no /proc") }
		if released, err := r.Release(); err == nil || len(released) > 0 {
			t.Errorf("without /proc, released %v, %v; want none", released, err)
		}
		if after := addresses(t); !slices.Equal(before, after) {
			t.Errorf("addresses before %v, after %v", before, after)
		}
		// If keepalived is started during the release, the remaining VIPs must stay.
		r.Running = func() (int, error) { asked++; return asked - 2, nil }
		if released, err := r.Release(); !errors.Is(err, ErrInUse) || len(released) != 1 {
			t.Errorf("while keepalived starts, released %v, %v; want one", released, err)
		}
	})
}
