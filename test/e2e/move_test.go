package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/wellknown"
)

// oldPair is a pair that was set up by hand: the values of most tutorials, or those of OpenStack's Octavia.
type oldPair struct {
	name string
	conf string // keepalived.conf; "<first|second>" differs between the nodes
}

// mostMove is the longest time that clients may get no answer while the VIP moves. keepalived takes a second to stop.
const mostMove = 10 * time.Second

func oldPairs() []oldPair {
	return []oldPair{
		{"the tutorial's values", `vrrp_script chk_haproxy {
    script "pgrep haproxy"
    interval 2
    weight 2
}
vrrp_instance VI_1 {
    interface eth3
    state <MASTER|BACKUP>
    virtual_router_id 51
    priority <101|100>
    virtual_ipaddress {
        192.168.1.32/24 dev eth4
    }
    track_script {
        chk_haproxy
    }
}
`},
		{"Octavia's values", `vrrp_instance octavia {
    state <MASTER|BACKUP>
    interface eth3
    virtual_router_id 51
    priority <100|90>
    nopreempt
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass password
    }
    unicast_src_ip 192.168.56.10<1|2>
    unicast_peer {
        192.168.56.10<2|1>
    }
    virtual_ipaddress {
        192.168.1.32/24 dev eth4
    }
}
`},
	}
}

// of returns the keepalived.conf of a node.
func (p oldPair) of(second bool) string {
	var b strings.Builder
	rest := p.conf
	for {
		before, after, found := strings.Cut(rest, "<")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		choice, after, _ := strings.Cut(after, ">")
		one, two, _ := strings.Cut(choice, "|")
		if second {
			one = two
		}
		b.WriteString(one)
		rest = after
	}
}

// toOld stops the agent and keepalived on a node, and moves hapair's files of keepalived to /root/hapair.
const toOld = `systemctl disable --now ha-agent.service
systemctl stop keepalived.service
mkdir -p /root/hapair
cp -p /etc/keepalived/keepalived.conf /root/hapair
mv /usr/lib/systemd/system/keepalived.service.d/hapair.conf /root/hapair
systemctl daemon-reload`

// toNew restores hapair's files and starts its services in maintenance, so that the node holds no VIP. A node that boots from
// an image with the mark in its user-data is in the same state.
const toNew = `systemctl stop keepalived.service
cp -p /root/hapair/keepalived.conf /etc/keepalived
mv /root/hapair/hapair.conf /usr/lib/systemd/system/keepalived.service.d
touch ` + wellknown.Mark + `
systemctl daemon-reload
systemctl enable --now ha-agent.service
systemctl start keepalived.service`

// testMove moves from a pair that was set up by hand to hapair while clients send requests, as in docs/adopt.md: first the
// node without the VIP, then the VIP, then the other node.
func testMove(t *testing.T, c controllers) {
	for _, p := range oldPairs() {
		t.Run("moving over from "+p.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			old, spare := c.becomes(ctx, t, p)
			began := time.Now()
			watches := c.watchFresh(ctx)
			must(ctx, t, spare, toNew)
			c.inMaintenance(ctx, t, spare)
			moved := time.Now()
			must(ctx, t, old, "systemctl stop keepalived.service")
			must(ctx, t, spare, "ha-agent maintenance off")
			if err := c.Holders.WaitHolder(ctx, spare.Name, time.Second); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s holds the VIP %v after keepalived of %s was stopped", spare.Name, time.Since(moved).Round(time.Millisecond)-time.Second, old.Name)
			must(ctx, t, old, toNew)
			c.inMaintenance(ctx, t, old)
			must(ctx, t, old, "ha-agent maintenance off")
			if err := c.Holders.WaitHolder(ctx, spare.Name, 3*time.Second); err != nil {
				t.Fatal(err)
			}
			failures, gap, last := watches.stop()
			t.Logf("%d requests lost, longest time without an answer %v, two holders for %v", failures, gap.Round(time.Millisecond), c.Holders.Overlap(began).Round(time.Millisecond))
			if gap > mostMove {
				t.Errorf("clients got no answer for %v (%v), want at most %v", gap, last, mostMove)
			}
			if two := c.Holders.Overlap(began); two > 0 {
				t.Errorf("the VIP had two holders for %v", two)
			}
			c.verify(t)
		})
	}
}

// becomes turns the pair into an old one, and returns the holder and the other node.
func (c controllers) becomes(ctx context.Context, t *testing.T, p oldPair) (holder, spare *lab.Host) {
	t.Helper()
	for name, h := range c.Nodes {
		must(ctx, t, h, toOld)
		if err := h.WriteFile(wellknown.KeepalivedConfig, 0o644, []byte(p.of(strings.HasSuffix(name, "2")))); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range c.Nodes {
		must(ctx, t, h, "systemctl start keepalived.service")
	}
	if err := c.Holders.WaitHolder(ctx, "controller-1", 6*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := c.answered(ctx, servicePath); err != nil {
		t.Fatal(err)
	}
	return c.Nodes["controller-1"], c.Nodes["controller-2"]
}

// inMaintenance waits until the agent of a node runs and reports maintenance.
func (c controllers) inMaintenance(ctx context.Context, t *testing.T, h *lab.Host) {
	t.Helper()
	err := poll.Nil(ctx, 200*time.Millisecond, func() error {
		_, err := h.Must(ctx, "sh", "-euc", `ha-agent status --json | grep -q '"maintenance": *true'`)
		return err
	})
	if err != nil {
		t.Fatalf("%s is not in maintenance: %v\n%s", h.Name, err, h.Logs(ctx, 20))
	}
}

func must(ctx context.Context, t *testing.T, h *lab.Host, script string) {
	t.Helper()
	if _, err := h.Must(ctx, "sh", "-euc", script); err != nil {
		t.Fatal(err)
	}
}
