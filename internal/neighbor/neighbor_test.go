package neighbor

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/eventually"
)

func TestAsk(t *testing.T) {
	hosts := link(t, 4)
	a, b, c, client := hosts[0], hosts[1], hosts[2], hosts[3]
	for _, vip := range []string{"192.168.1.32", "fd00::32"} {
		t.Run(vip, func(t *testing.T) {
			bits := map[bool]string{true: "/64", false: "/24"}[strings.Contains(vip, ":")]
			b.give(t, vip+bits)
			a.answered(t, vip, b.mac)
			// A client has the holder in its cache.
			client.give(t, map[bool]string{true: "fd00::4/64", false: "192.168.1.44/24"}[bits == "/64"])
			client.within(func() {
				conn, err := net.Dial("udp", net.JoinHostPort(vip, "9"))
				if err == nil {
					conn.Write([]byte("x"))
					conn.Close()
				}
			})
			eventually.True(t, 5*time.Second, "the client has the neighbour", func() bool { return client.neighbour(t, vip) == b.mac })
			// Two machines hold the address, and the holder itself asks.
			c.give(t, vip+bits)
			a.answered(t, vip, b.mac, c.mac)
			b.answered(t, vip, c.mac)
			c.answered(t, vip, b.mac)
			if got := client.neighbour(t, vip); got != b.mac {
				t.Errorf("after the question, the client's entry changed from %s to %s", b.mac, got)
			}
			if got := a.neighbour(t, vip); got != "" {
				t.Errorf("after the question, the asking machine has the entry %s", got)
			}
		})
	}
}

// TestAskWithoutAnAddress asks from an interface without an own address, such as one that only takes virtual IPs.
func TestAskWithoutAnAddress(t *testing.T) {
	hosts := link(t, 2)
	a, b := hosts[0], hosts[1]
	nl, err := netlink.NewHandleAt(a.ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	eth0, err := nl.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	b.give(t, "192.168.1.32/24")
	b.give(t, "fd00::32/64")
	for _, vip := range []string{"192.168.1.32", "fd00::32"} {
		eventually.True(t, 5*time.Second, "the link has no address", func() bool { // the kernel adds a link-local address when the link comes up
			addrs, err := nl.AddrList(eth0, netlink.FAMILY_ALL)
			for _, addr := range addrs {
				nl.AddrDel(eth0, &addr)
			}
			return err == nil && len(addrs) == 0
		})
		a.answered(t, vip, b.mac)
	}
}

func TestNoAnswer(t *testing.T) {
	hosts := link(t, 2)
	start := time.Now()
	if got := hosts[0].ask(t, "192.168.1.99", 200*time.Millisecond); got != nil {
		t.Errorf("%v answer", got)
	}
	hosts[0].give(t, "192.168.1.98/24")
	if got := hosts[0].ask(t, "192.168.1.98", 50*time.Millisecond); got != nil {
		t.Errorf("this machine's own answer was reported: %v", got)
	}
	if took := time.Since(start); took < 250*time.Millisecond || took > 3*time.Second {
		t.Errorf("Ask took %v", took)
	}
}

func TestCannotAsk(t *testing.T) {
	h := link(t, 1)[0]
	h.within(func() {
		for _, iface := range []string{"lo", "eth9"} {
			if _, err := Ask(t.Context(), iface, vip4); err == nil || !strings.Contains(err.Error(), "cannot ask "+iface) {
				t.Errorf("Ask on %s: %v, want an error", iface, err)
			}
		}
		if eth0, err := netlink.LinkByName("eth0"); err != nil || netlink.LinkSetDown(eth0) != nil {
			t.Error("cannot take eth0 down")
			return
		}
		if _, err := Ask(t.Context(), "eth0", vip4); !errors.Is(err, unix.ENETDOWN) {
			t.Errorf("on an interface that is down: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Ask(ctx, "br0", vip4); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}
