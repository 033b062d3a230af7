package neighbor

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/eventually"
)

// state returns the state of an address in a host's neighbour cache, or 0 if the address is not in it.
func (h host) state(t *testing.T, addr string) int {
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
		if n.IP.String() == addr {
			return n.State
		}
	}
	return 0
}

// TestGreetUpdatesBothNeighbourTables sends to an address that no machine has until the kernel gives up. When the machine is
// then there, one question from the other's own address must be enough for both kernels to learn the hardware addresses.
func TestGreetUpdatesBothNeighbourTables(t *testing.T) {
	for _, tt := range []struct{ name, own, peer, bits string }{
		{"ARP", "192.168.1.1", "192.168.1.77", "/24"},
		{"neighbour discovery", "fd00::1", "fd00::77", "/64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hosts := link(t, 2)
			if tt.own == "fd00::1" {
				hosts[0].give(t, tt.own+tt.bits)
			}
			own, peer := netip.MustParseAddr(tt.own), netip.MustParseAddr(tt.peer)
			send := func() (lost []Entry) {
				hosts[0].within(func() {
					conn, err := net.Dial("udp", netip.AddrPortFrom(peer, 9).String())
					if err != nil {
						t.Error(err)
						return
					}
					conn.Write([]byte("x")) // the neighbour table shows whether it could be sent
					conn.Close()
					if lost, err = Unresolved([]netip.Addr{peer}); err != nil {
						t.Error(err)
					}
				})
				return lost
			}
			want := []Entry{{"eth0", peer}}
			eventually.True(t, 5*time.Second, "the peers get it", func() bool { return slices.Equal(send(), want) })
			eventually.True(t, 5*time.Second, "the kernel asks no more", func() bool { return hosts[0].state(t, tt.peer) == unix.NUD_FAILED }) // the kernel has given up
			hosts[1].give(t, tt.peer+tt.bits)
			if got := hosts[1].neighbour(t, tt.own); got != "" {
				t.Fatalf("the peer already has an entry for %s: %s", tt.own, got)
			}
			eventually.True(t, 5*time.Second, "the peer knows the address", func() bool {
				hosts[0].within(func() {
					if err := Greet(Entry{"eth0", peer}, own); err != nil {
						t.Error(err)
					}
				})
				<-time.After(50 * time.Millisecond)
				return hosts[1].neighbour(t, tt.own) == hosts[0].mac
			})
			eventually.True(t, 5*time.Second, "no entry is reported", func() bool { return len(send()) == 0 })
		})
	}
}
