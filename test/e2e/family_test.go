package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

// protocolVRRP is VRRP's IP protocol number (RFC 9568, 5.1.1.4).
const protocolVRRP = 112

// testFamily tests what differs with IPv6: the agent with every form of a bind, its metrics, the firewall, and the kernel's
// settings.
func testFamily(t *testing.T, c controllers) {
	t.Run("every address can be bound", func(t *testing.T) {
		for _, h := range c.Nodes {
			for _, key := range []string{"net/ipv4/ip_nonlocal_bind", "net/ipv6/ip_nonlocal_bind"} {
				if value, err := h.Must(t.Context(), "cat", "/proc/sys/"+key); err != nil || strings.TrimSpace(value) != "1" {
					t.Errorf("%s: %s is %q, %v", h.Name, key, value, err)
				}
			}
		}
	})
	t.Run("metrics, only for allowed clients", func(t *testing.T) { c.metrics(t) })
	t.Run("VRRP packets of a stranger are dropped", func(t *testing.T) { c.strangeVRRP(t) })
	t.Run("each form of a bind", func(t *testing.T) { c.binds(t) })
}

// metrics requests the metrics at each address of each node, from the allowed address and from another one.
func (c controllers) metrics(t *testing.T) {
	other, err := c.Lab.AddClient(t.Context(), "stranger", "management", c.Family.Prefixes(stranger+"/24")...)
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range nodeAddress() {
		for _, url := range c.Family.URLs(addr.String(), 9736, "/metrics") {
			status, body, err := c.Admin.Get(t.Context(), url)
			if err != nil || status != http.StatusOK {
				t.Errorf("%s: status %d, %v", url, status, err)
			}
			for _, vip := range c.Family.Addresses(cluster.VIP) {
				if want := fmt.Sprintf(`hapair_vip_held{vip="public",address="%v"}`, vip); !strings.Contains(body, want) {
					t.Errorf("%s has no %s", url, want)
				}
			}
			if strings.Contains(body, "\nhapair_vip_other_holders_unknown{vip=\"public\"} 1") {
				t.Errorf("%s: the agent could not ask on the link who else holds the VIP", url)
			}
			if c.get(t, other, url) == nil {
				t.Errorf("%s: a stranger got an answer", url)
			}
		}
	}
}

// get sends one request, with a timeout that is long enough to detect dropped packets.
func (c controllers) get(t *testing.T, from *lab.Client, url string) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, _, err := from.Get(ctx, url)
	return err
}

// strangeVRRP lets a machine that is not a peer advertise a higher priority. The firewall must drop it, and the VIP must not
// move.
func (c controllers) strangeVRRP(t *testing.T) {
	holder, other := c.Settle(t)
	before := len(c.Holders.Spans())
	dropped := func() int {
		out, err := other.Must(t.Context(), "sh", "-c", `nft list chain inet hapair vrrp | awk '{ for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) } END { print n + 0 }'`)
		n := -1
		if err == nil {
			_, err = fmt.Sscan(out, &n)
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	was := dropped()
	for _, addr := range c.Family.Addresses(nodeAddress()[strings.ReplaceAll(other.Name, "-", "_")].String()) {
		// Version 3, advertisement, router 51, priority 254. The firewall checks only the sender.
		advertisement := []byte{0x31, 51, 254, 1, 0, 100, 0, 0, 192, 168, 1, 32}
		if err := c.Admin.SendPacket(protocolVRRP, addr, advertisement); err != nil {
			t.Fatal(err)
		}
	}
	eventually.Nil(t, faultLimit, func() error {
		if n := dropped() - was; n < len(c.Family.Addresses(cluster.VIP)) {
			return fmt.Errorf("%d packets were dropped", n)
		}
		return nil
	})
	if again, _ := c.Settle(t); again != holder || len(c.Holders.Spans()) != before {
		t.Errorf("the VIP moved: %v", c.Holders.Spans())
	}
}

// binds edits haproxy.cfg to use each form of an IPv6 bind. The agent must prove it, and haproxy must listen.
func (c controllers) binds(t *testing.T) {
	holder, _ := c.Settle(t)
	original, err := holder.ReadFile(wellknown.HAProxyConfig)
	if err != nil {
		t.Fatal(err)
	}
	linkLocal, err := holder.Must(t.Context(), "sh", "-c", `ip -6 -o address show dev eth3 scope link | sed 's/.*inet6 \([^/]*\).*/\1/' | head -n 1`)
	if err != nil {
		t.Fatal(err)
	}
	linkLocal = strings.TrimSpace(linkLocal)
	listeners := func() string {
		out, err := holder.Must(t.Context(), "sh", "-c", `ss -Hltne 'sport = :5000' | sed 's/.* \(ino:[0-9]*\).*/\1/' | sort -u`)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	sockets := listeners()
	before, err := cluster.Status(t.Context(), holder)
	if err != nil {
		t.Fatal(err)
	}
	for i, bind := range []string{":::%d v4v6", ":::%d v6only", "[::]:%d", "[::1]:%d", "::1:%d", "ipv6@:%d", "::ffff:127.0.0.1:%d",
		linkLocal + ":%d interface eth3", "[fd00:99::1]:%d"} {
		port := 6001 + i
		bind = fmt.Sprintf(bind, port)
		edited := fmt.Sprintf("%s\nfrontend form_%d\n    mode http\n    bind %s\n    http-request return status 200\n", original, i, bind)
		if err := cluster.ByRename().Save(t.Context(), holder, wellknown.HAProxyConfig, edited); err != nil {
			t.Fatal(err)
		}
		eventually.Nil(t, faultLimit, func() error {
			if err := proven(t.Context(), holder); err != nil {
				return fmt.Errorf("bind %s: %w", bind, err)
			}
			out, err := holder.Must(t.Context(), "ss", "-Hltn", fmt.Sprintf("sport = :%d", port))
			if err == nil && out == "" {
				err = fmt.Errorf("bind %s: the port is not open", bind)
			}
			return err
		})
	}
	// haproxy does not accept a zone, and its own error must be reported.
	zoned := fmt.Sprintf("%s\nfrontend zoned\n    mode http\n    bind %s%%eth3:6100\n", original, linkLocal)
	if err := cluster.ByRename().Save(t.Context(), holder, wellknown.HAProxyConfig, zoned); err != nil {
		t.Fatal(err)
	}
	eventually.Nil(t, faultLimit, func() error { return refused(t.Context(), holder) })
	if err := cluster.ByRename().Save(t.Context(), holder, wellknown.HAProxyConfig, string(original)); err != nil {
		t.Fatal(err)
	}
	eventually.Nil(t, faultLimit, func() error { return proven(t.Context(), holder) })
	// A reload that opens new sockets would reset connections that wait in the old ones.
	if now := listeners(); now != sockets || !strings.Contains(now, "ino:") {
		t.Errorf("the service's sockets before the reloads:\n%sand after them:\n%s", sockets, now)
	}
	after, err := cluster.Status(t.Context(), holder)
	if err != nil || after.Daemon.PID != before.Daemon.PID || len(after.Daemon.Panics) > 0 {
		t.Errorf("the daemon changed from %+v to %+v, %v", before.Daemon, after.Daemon, err)
	}
}
