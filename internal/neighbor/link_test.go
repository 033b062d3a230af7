package neighbor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/needs"
)

// host is a network namespace with an interface eth0 on the test's link.
type host struct {
	ns  netns.NsHandle
	mac string
}

// within runs f in the host's namespace, on a thread that ends with f.
func (h host) within(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := netns.Set(h.ns); err != nil {
			panic(err)
		}
		f()
	}()
	<-done
}

// link creates n hosts on one bridge. Everything disappears with the namespaces.
func link(t *testing.T, n int) []host {
	t.Helper()
	needs.Lab(t)
	ok := make(chan error)
	var hosts []host
	go func() {
		runtime.LockOSThread()
		var err error
		hosts, err = makeLink(n)
		ok <- err
	}()
	if err := <-ok; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, h := range hosts {
			h.ns.Close()
		}
	})
	return hosts
}

func makeLink(n int) ([]host, error) {
	var hosts []host
	for range n {
		ns, err := netns.New()
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, host{ns: ns})
	}
	// The first host contains the bridge, and is connected to it like the others.
	if err := netns.Set(hosts[0].ns); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := errors.Join(netlink.LinkAdd(bridge), netlink.LinkSetUp(bridge)); err != nil {
		return nil, err
	}
	for i := range hosts {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = fmt.Sprintf("port%d", i), bridge.Index
		mac := net.HardwareAddr{0x02, 0, 0, 0, 0, byte(i)}
		hosts[i].mac = mac.String()
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(hosts[i].ns)}
		if err := errors.Join(netlink.LinkAdd(veth), netlink.LinkSetUp(veth)); err != nil {
			return nil, err
		}
		h, err := netlink.NewHandleAt(hosts[i].ns, unix.NETLINK_ROUTE)
		if err != nil {
			return nil, err
		}
		defer h.Close()
		eth0, err := h.LinkByName("eth0")
		if err != nil {
			return nil, err
		}
		if err := errors.Join(h.LinkSetUp(eth0), give(h, fmt.Sprintf("192.168.1.%d/24", i+1)), give(h, fmt.Sprintf("fe80::%d/64", i+1))); err != nil {
			return nil, err
		}
	}
	return hosts, nil
}

// give adds an address to eth0 that is usable at once, as keepalived does.
func give(h *netlink.Handle, prefix string) error {
	eth0, err := h.LinkByName("eth0")
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(prefix)
	if err != nil {
		return err
	}
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	return h.AddrAdd(eth0, a)
}

func (h host) give(t *testing.T, prefix string) {
	t.Helper()
	nl, err := netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	if err := give(nl, prefix); err != nil {
		t.Fatal(err)
	}
}

func (h host) ask(t *testing.T, addr string, d time.Duration) []string {
	t.Helper()
	var found []net.HardwareAddr
	var err error
	h.within(func() {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		found, err = Ask(ctx, "eth0", netip.MustParseAddr(addr))
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range found {
		all = append(all, f.String())
	}
	return all
}

// neighbour returns the entry for an address in a host's neighbour cache.
func (h host) neighbour(t *testing.T, addr string) string {
	t.Helper()
	nl, err := netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	list, err := nl.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		if n.IP.String() == addr && n.HardwareAddr != nil {
			return n.HardwareAddr.String()
		}
	}
	return ""
}

// answered repeats Ask until exactly the wanted machines answer, because a bridge port forwards packets only some time after
// it came up.
func (h host) answered(t *testing.T, addr string, want ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if got = h.ask(t, addr, 250*time.Millisecond); slices.Equal(got, want) {
			return
		}
	}
	t.Errorf("machines that answer for %[2]s: %[1]v, want %[3]v", got, addr, want)
}
