package agent_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// TestDeadKeepalivedIsAnnounced kills keepalived for each way to advertise. Without an announcement the peer would wait for
// three advertisements, which takes 6 s. With it, the real keepalived of the peer must take over at once.
func TestDeadKeepalivedIsAnnounced(t *testing.T) {
	// keepalived 2.2.8, 2.3.3, and 2.2.4, the oldest supported version
	for _, releaseName := range cluster.Sample(t, "noble", "trixie", "jammy") {
		t.Run(releaseName, func(t *testing.T) { testAnnounced(t, newNodes(t, releaseName, 2)) })
	}
}

func testAnnounced(t *testing.T, nodes []*node) {
	for i, n := range nodes {
		n.settledAgent()
		n.must("sh", "-euc", fmt.Sprintf(`systemctl stop ha-agent; rm -r /var/lib/ha-agent/good
			sed -i 's|^\( *\)- 192.168.1.32/24$|&\n\1- 2001:db8::32/64|' /etc/ha-agent/agent.yaml; grep -q 2001:db8::32 /etc/ha-agent/agent.yaml
			ip -6 address add fd00::%d/64 dev eth3 nodad; sysctl -qw net.ipv6.conf.eth4.disable_ipv6=0`, 101+i))
	}
	for _, tt := range ways() {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.always {
				needs.InWide(t, "another way differs only in the transport")
			}
			nodes := []*node{{nodes[0].Host, t}, {nodes[1].Host, t}}
			for i, n := range nodes {
				conf := fmt.Sprintf("global_defs {\n%s\n}\nvrrp_instance VI_public {\nstate BACKUP\nnopreempt\ninterface eth3\nvirtual_router_id 7\npriority %d\nadvert_int 2\n%s"+
					"virtual_ipaddress {\n%s/%d dev eth4\n}\n}\n", tt.global, 254-i, tt.instance(101+i, 102-i), tt.vip, map[string]int{vip4: 24, vip6: 64}[tt.vip])
				n.must("systemctl", "stop", "keepalived")
				n.write(keepalivedConf, 0o600, []byte(conf))
			}
			for _, n := range nodes {
				n.must("systemctl", "start", "keepalived")
			}
			addr := netip.MustParseAddr(tt.vip)
			var holder, other *node
			nodes[0].eventually("one node holds the VIP", func() error {
				a, errA := nodes[0].Holds(addr)
				b, errB := nodes[1].Holds(addr)
				if errA != nil || errB != nil || a == b {
					return fmt.Errorf("nodes hold the VIP: %v and %v (%v, %v), want one", a, b, errA, errB)
				}
				holder, other = nodes[0], nodes[1]
				if b {
					holder, other = other, holder
				}
				return nil
			})
			holder.must("sh", "-euc", "kill -KILL $(pidof keepalived)")
			began := time.Now()
			other.poll(t, "the peer takes over", func() error {
				held, err := other.Holds(addr)
				if err == nil && !held {
					err = fmt.Errorf("the peer does not hold %v", addr)
				}
				return err
			})
			took := time.Since(began)
			t.Logf("the peer took over after %v", took.Round(time.Millisecond))
			if took > 3*time.Second { // half of the time without an announcement
				t.Errorf("the peer took over after %v, as if there had been no announcement:\n%s", took, strings.Join([]string{holder.journal(), other.journal()}, "----\n"))
			}
		})
	}
}

const vip4, vip6 = "192.168.1.32", "2001:db8::32"

// way is a way in which two nodes advertise: additional lines of global_defs, and the lines of an instance for the last
// parts of the node's address and of its peer's.
type way struct {
	name, global, vip string
	instance          func(own, peer int) string
	always            bool // not only in the wide tier
}

func ways() []way {
	unicast := func(own, peer string) string {
		return fmt.Sprintf("unicast_src_ip %s\nunicast_peer {\n%s\n}\ncheck_unicast_src\n", own, peer)
	}
	unicast4 := func(own, peer int) string {
		return unicast(fmt.Sprintf("192.168.56.%d", own), fmt.Sprintf("192.168.56.%d", peer))
	}
	unicast6 := func(own, peer int) string {
		return unicast(fmt.Sprintf("fd00::%d", own), fmt.Sprintf("fd00::%d", peer))
	}
	multicast := func(int, int) string { return "" }
	password := func(own, peer int) string {
		return unicast4(own, peer) + "authentication {\nauth_type PASS\nauth_pass secret\n}\n"
	}
	return []way{
		{"version 3, unicast", "vrrp_version 3", vip4, unicast4, true},
		{"version 3, multicast", "vrrp_version 3", vip4, multicast, false},
		{"version 3, another group", "vrrp_version 3\nvrrp_mcast_group4 224.0.0.99", vip4, multicast, true},
		{"version 3 over IPv6, unicast", "vrrp_version 3", vip6, unicast6, false},
		{"version 3 over IPv6, multicast", "vrrp_version 3", vip6, multicast, true},
		{"version 2, multicast", "", vip4, multicast, false},
		{"version 2 with a password, unicast", "vrrp_version 2", vip4, password, true},
	}
}

// settledAgent waits until the agent has proven all targets.
func (n *node) settledAgent() {
	n.t.Helper()
	n.eventually("all targets proven", func() error {
		s, err := n.status()
		if err != nil {
			return err
		}
		for _, target := range s.Targets {
			if target.Generation == 0 {
				return fmt.Errorf("%s has no last known good files", target.Name)
			}
		}
		return nil
	})
}
