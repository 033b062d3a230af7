package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/test/cluster"
)

// vipsSpec describes a pair with two VIPs that move together: one on the public network, with two addresses and its own
// router, and one on the nodes' network. The nodes' own gateway does not exist.
const vipsSpec = `apiVersion: hapair/v1
cluster: pair
vrrp: {advert_int: 1s}
nodes:
  - {name: controller_1, address: 192.168.56.101/24, interface: eth3, gateway: 192.168.56.1}
  - {name: controller_2, address: 192.168.56.102/24, interface: eth3, gateway: 192.168.56.1}
vips:
  - name: public
    address: [192.168.1.32/24, 192.168.1.33/24]
    interface: eth4
    group: edge
    gateway: 192.168.1.1
    on_change: {command: /usr/local/sbin/on-change --region r1, timeout: 2s}
  - {name: internal, address: 192.168.56.32/24, group: edge}
services:
  - name: web
    vip: public
    port: 5000
    mode: http
    check: {http: GET /, expect: 200}
    servers:
      - {name: web_1, address: 192.168.56.201}
      - {name: web_2, address: 192.168.56.202}
  - {name: plain, vip: internal, port: 5001, servers: [{name: web_1, address: 192.168.56.201, port: 5000}]}
cloud_config:
  write_files:
    - path: /usr/local/sbin/on-change
      permissions: "0755"
      content: |
        #!/bin/sh
        echo "uid $(id -u) gets $5 of $HAPAIR_VIP with $HAPAIR_ADDRESSES; token=open-sesame"
        touch /etc/not-allowed 2>/dev/null && echo "it can write to /etc"
        kill -0 1 2>/dev/null && echo "it can signal the init process"
        if [ -e /etc/on-change-hangs ]; then trap "" TERM; sleep 1000; fi
        exit 0
`

// The router's address on each of its networks, and a client behind the router.
const (
	publicRouter, outsideRouter = "192.168.1.1/24", "198.51.100.1/24"
	outsideClient               = "198.51.100.7/24"
	internalVIP                 = "192.168.56.32"
)

// vipPair is the pair with its two VIPs.
type vipPair struct {
	*cluster.Cluster
	internal *lab.Holders // of the VIP on the nodes' network
	outside  *lab.Client
}

// TestVIPsOfAGroup causes faults of a pair whose VIPs move together, and lets the command hang that runs when they move.
func TestVIPsOfAGroup(t *testing.T) {
	for _, release := range cluster.Releases(t, "noble") {
		t.Run(release, func(t *testing.T) {
			c := bootVIPs(t, release)
			t.Run("a client outside of the nodes' subnets", c.asksFromOutside)
			t.Run("the command has no privileges", c.commandHasNoPrivileges)
			t.Run("haproxy killed", func(t *testing.T) { c.movesTogether(t, fault.HAProxyDead(), true) })
			t.Run("link of one VIP's network cut", func(t *testing.T) { c.movesTogether(t, cluster.PublicLinkCut(), true) })
			t.Run("link of the nodes' network cut", func(t *testing.T) { c.movesTogether(t, cluster.ManagementLinkCut(), false) })
			t.Run("networkd restarts on the holder", func(t *testing.T) { networkdRestart(t, controllers{c.Cluster}) })
			t.Run("the command hangs", c.commandHangs)
			t.Run("a client outside, at the end", c.asksFromOutside)
			t.Run("ha-agent verify at the end", func(t *testing.T) { controllers{c.Cluster}.verify(t) })
		})
	}
}

func bootVIPs(t *testing.T, release string) *vipPair {
	t.Helper()
	c := &vipPair{Cluster: cluster.Build(t, []byte(vipsSpec)).Golden(t, release)}
	if err := c.ServePair(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := c.Lab.AddRouter(ctx, "outside", lab.Leg{Network: "public", Address: netip.MustParsePrefix(publicRouter)},
		lab.Leg{Network: "outside", Address: netip.MustParsePrefix(outsideRouter)}); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.outside, err = c.Lab.AddClient(ctx, "outside", "outside", netip.MustParsePrefix(outsideClient)); err != nil {
		t.Fatal(err)
	}
	if err := c.outside.RouteVia(netip.MustParsePrefix(outsideRouter).Addr()); err != nil {
		t.Fatal(err)
	}
	c.internal = c.Lab.Follow(ctx, netip.MustParseAddr(internalVIP))
	t.Cleanup(c.internal.Stop)
	c.Boot(t)
	c.Settle(t)
	return c
}

// asksFromOutside checks that replies leave through the VIP's interface. The nodes' own gateway does not exist.
func (c *vipPair) asksFromOutside(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	for _, address := range []string{cluster.VIP, "192.168.1.33"} {
		if _, err := c.outside.WaitAnswer(ctx, "http://"+address+":5000/"); err != nil {
			holder, _ := c.Settle(t)
			out, _, _ := holder.Run(ctx, "sh", "-c", "ip rule; ip route show table all")
			t.Errorf("%v\n%s", err, out)
		}
	}
	if _, err := c.Client.WaitAnswer(ctx, cluster.PairURL); err != nil {
		t.Errorf("from the VIP's own subnet: %v", err)
	}
	if _, err := c.Admin.WaitAnswer(ctx, "http://"+internalVIP+":5001/"); err != nil {
		t.Errorf("the other VIP of the group: %v", err)
	}
}

// mostGap is less than the three advertisement intervals for which a node waits if it is not notified.
const mostGap = time.Second

// gapOf returns how long no node held a VIP during its last move.
func gapOf(h *lab.Holders, since time.Time) time.Duration {
	var gap time.Duration
	spans := h.Spans()
	for i := 1; i < len(spans); i++ {
		if spans[i].From.After(since) && !spans[i-1].To.IsZero() {
			gap = spans[i].From.Sub(spans[i-1].To)
		}
	}
	return gap
}

// movesTogether causes a fault of the holder, and checks that both VIPs move and that neither returns alone. announced means
// that the other node is notified, and need not wait for missing advertisements.
func (c *vipPair) movesTogether(t *testing.T, f fault.Fault, announced bool) {
	holder, other := c.Settle(t)
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	if err := c.internal.WaitHolder(ctx, holder.Name, 0); err != nil {
		t.Fatalf("the VIPs are not together before the fault: %v", err)
	}
	began := time.Now()
	if err := f.Strike(ctx, holder); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]*lab.Holders{"public": c.Holders, "internal": c.internal} {
		if err := h.WaitHolder(ctx, other.Name, 0); err != nil {
			t.Fatalf("VIP %s: %v\n%s\n%s", name, err, holder.Logs(t.Context(), 60), other.Logs(t.Context(), 60))
		}
	}
	gap := max(gapOf(c.Holders, began), gapOf(c.internal, began))
	t.Logf("both VIPs moved from %s to %s within %v; one had no holder for %v", holder.Name, other.Name, time.Since(began).Round(time.Millisecond), gap.Round(time.Millisecond))
	if announced && gap > mostGap {
		t.Errorf("the other node was not notified: want at most %v", mostGap)
	}
	if err := f.Repair(ctx, holder); err != nil {
		t.Fatal(err)
	}
	c.WaitRunning(ctx, t)
	after, _ := c.Settle(t)
	if err := c.internal.WaitHolder(ctx, after.Name, 0); err != nil {
		t.Errorf("the VIPs are not together after the repair: %v", err)
	}
	for name, h := range map[string]*lab.Holders{"public": c.Holders, "internal": c.internal} {
		if overlap := h.Overlap(began); overlap > mostOverlap {
			t.Errorf("VIP %s had two holders for %v", name, overlap)
		}
	}
	if err := c.shows(ctx, other, func(o control.OnChange) bool { return o.State == "MASTER" && o.Why == "" }); err != nil {
		t.Error(err)
	}
}

// shows waits until a node's status shows a wanted state of the command.
func (c *vipPair) shows(ctx context.Context, h *lab.Host, want func(control.OnChange) bool) error {
	return poll.Nil(ctx, 50*time.Millisecond, func() error {
		s, err := cluster.Status(ctx, h)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(s.VIPs, func(v control.VIP) bool { return v.Name == "public" })
		if i < 0 || s.VIPs[i].OnChange == nil || !want(*s.VIPs[i].OnChange) {
			return fmt.Errorf("%s: the status of the VIPs is %+v", h.Name, s.VIPs)
		}
		return nil
	})
}

// commandHasNoPrivileges reads the command's output from the agent's journal. Its secret must be masked.
func (c *vipPair) commandHasNoPrivileges(t *testing.T) {
	holder, _ := c.Settle(t)
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	var log string
	eventually.Nil(t, faultLimit, func() error {
		var err error
		log, err = holder.Must(ctx, "journalctl", "-u", "ha-agent.service", "-o", "cat", "--no-pager")
		if err == nil && !strings.Contains(log, "gets MASTER of public with 192.168.1.32/24 192.168.1.33/24") {
			err = fmt.Errorf("the journal has no line of the command on the holder:\n%s", log)
		}
		return err
	})
	for _, not := range []string{"uid 0 ", "it can", "open-sesame"} {
		if strings.Contains(log, not) {
			t.Errorf("the journal has %q:\n%s", not, log)
		}
	}
}

// commandHangs lets the command hang on both nodes. The VIPs must still move. The command must be killed after its time
// limit, and must run again on the holder until it succeeds.
func (c *vipPair) commandHangs(t *testing.T) {
	holder, other := c.Settle(t)
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	for _, h := range c.Nodes {
		if err := h.WriteFile("/etc/on-change-hangs", 0o644, nil); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if _, err := holder.Must(ctx, "ha-agent", "maintenance", "on"); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*lab.Holders{c.Holders, c.internal} {
		if err := h.WaitHolder(ctx, other.Name, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the VIPs moved within %v while the command hangs", time.Since(began).Round(time.Millisecond))
	if err := c.shows(ctx, other, func(o control.OnChange) bool {
		return o.State == "MASTER" && strings.Contains(o.Why, "exceeded its time limit") && o.Failures > 1
	}); err != nil {
		t.Errorf("the command must be killed and run again: %v", err)
	}
	for _, h := range c.Nodes {
		if _, err := h.Must(ctx, "rm", "/etc/on-change-hangs"); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.shows(ctx, other, func(o control.OnChange) bool { return o.State == "MASTER" && o.Why == "" }); err != nil {
		t.Errorf("the command must succeed again: %v", err)
	}
	if _, err := holder.Must(ctx, "ha-agent", "maintenance", "off"); err != nil {
		t.Fatal(err)
	}
	if moved := c.Holders.Now(); !slices.Equal(moved, []string{other.Name}) {
		t.Errorf("the VIPs are on %v", moved)
	}
}
