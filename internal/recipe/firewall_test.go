package recipe_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

const firewallSpec = `
apiVersion: hapair/v1
cluster: fire
nodes:
  - {name: a, address: [192.168.56.101/24, "2001:db8:56::101/64"], interface: eth3}
  - {name: b, address: [192.168.56.102/24, "2001:db8:56::102/64"], interface: eth3}
  - {name: routed, address: [10.7.0.3/24, "2001:db8:7::3/64"], interface: eth3}
vips: [{name: v, address: 192.168.1.32/24, interface: eth4}]
firewall: true
services: [{name: web, vip: v, port: 80, servers: [{name: w, address: 192.168.56.201}]}]
`

// firewallNetworks are the node's two interfaces and the machines behind them. lan is on the link of eth3, and is the router
// to far.
const firewallNetworks = `set -eu
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.default.accept_dad=0
ip netns add lan; ip netns add other; ip netns add far
for n in lan other far; do ip -n $n link set lo up; ip netns exec $n sysctl -qw net.ipv6.conf.default.accept_dad=0; done
ip link add eth3 type veth peer name p3 netns lan
ip link add eth4 type veth peer name p4 netns other
ip -n lan link add p9 type veth peer name p9 netns far
addr() { ip -n "$1" addr add "$3" dev "$2"; ip -n "$1" -6 addr add "$4" dev "$2" nodad; ip -n "$1" link set "$2" up; }
ip addr add 192.168.56.101/24 dev eth3; ip -6 addr add 2001:db8:56::101/64 dev eth3 nodad; ip link set eth3 up
ip addr add 192.168.1.1/24 dev eth4; ip -6 addr add 2001:db8:1::1/64 dev eth4 nodad; ip link set eth4 up
addr lan p3 192.168.56.1/24 2001:db8:56::1/64
addr other p4 192.168.1.2/24 2001:db8:1::2/64
addr lan p9 10.9.0.1/24 2001:db8:9::1/64
addr far p9 10.9.0.2/24 2001:db8:9::2/64
ip netns exec lan sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.p9.rp_filter=0
ip -n far route add default via 10.9.0.1; ip -n far -6 route add default via 2001:db8:9::1
ip -n other route add 192.168.56.101/32 via 192.168.1.1; ip -n other -6 route add 2001:db8:56::101/128 via 2001:db8:1::1
`

// TestFirewallAcceptsVRRPOnlyFromItsLink sends crafted VRRP packets to a node with the real nft.
func TestFirewallAcceptsVRRPOnlyFromItsLink(t *testing.T) {
	s := parseBytes(t, "spec.yaml", []byte(firewallSpec))
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			node, err := recipe.Node(s, &s.Nodes[0], r)
			if err != nil {
				t.Fatal(err)
			}
			h := &host{labtest.Sandbox(t, name), node}
			h.must(t, "sh", "-c", firewallNetworks)
			for _, f := range node.Files {
				if f.Path == "/etc/nftables.d/hapair.nft" {
					if err := h.WriteFile(deadline(t), f.Path, f.Mode, "", f.Content); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 2 {
				h.must(t, "nft", "-f", "/etc/nftables.d/hapair.nft")
			}
			for _, c := range []struct {
				what     string
				from     string // namespace of the sender
				v4, v6   string // its source address
				ttl      byte
				accepted bool
			}{
				{"from a peer", "lan", "192.168.56.102", "2001:db8:56::102", 255, true},
				{"from a peer that the spec has behind a router", "lan", "10.7.0.3", "2001:db8:7::3", 250, true},
				{"with a TTL of 254", "lan", "192.168.56.102", "2001:db8:56::102", 254, false},
				{"with a TTL of 1", "lan", "192.168.56.102", "2001:db8:56::102", 1, false},
				{"from a stranger on the link", "lan", "192.168.56.77", "2001:db8:56::77", 255, false},
				{"with a peer's address from beyond a router", "far", "192.168.56.102", "2001:db8:56::102", 255, false},
				{"with a peer's address from another interface", "other", "192.168.56.102", "2001:db8:56::102", 255, false},
			} {
				h.vrrp(t, "IPv4 "+c.what, c.from, c.v4, "192.168.56.101", c.ttl, c.accepted)
				h.vrrp(t, "IPv6 "+c.what, c.from, c.v6, "2001:db8:56::101", c.ttl, c.accepted)
			}
		})
	}
}

// TestFirewallAcceptsIPv6AdvertisementsOfRawInstances checks the rule for instances in raw text. Without unicast_ttl,
// keepalived sends their advertisements with the kernel's hop limit. If the firewall required 255, the pair would have two
// holders.
func TestFirewallAcceptsIPv6AdvertisementsOfRawInstances(t *testing.T) {
	r, err := release.Get("bookworm")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"":                  "ip6 hoplimit != 255 ip6 saddr != { 2001:db8:56::102, 2001:db8:7::3 } counter drop",
		"  unicast_ttl 255": "ip6 hoplimit != 255 ip6 saddr != { 2001:db8:7::3 } counter drop",
	} {
		s := parseBytes(t, "spec.yaml", []byte(firewallSpec+"keepalived: {extra: \"vrrp_instance mine {\\n  unicast_peer {\\n    2001:db8:56::102\\n  }\\n"+line+"\\n}\\n\"}\n"))
		node, err := recipe.Node(s, &s.Nodes[0], r)
		if err != nil {
			t.Fatal(err)
		}
		rules := ""
		for _, f := range node.Files {
			if f.Path == "/etc/nftables.d/hapair.nft" {
				rules = string(f.Content)
			}
		}
		if !strings.Contains(rules, want) || !strings.Contains(rules, "ip ttl != 255 ip saddr != { 10.7.0.3 } counter drop") {
			t.Errorf("with %q, the rules lack %q:\n%s", line, want, rules)
		}
	}
}

// vrrp sends a packet of IP protocol 112, and checks whether a socket of the node receives it or a rule drops it.
func (h *host) vrrp(t *testing.T, what, namespace, source, to string, ttl byte, accepted bool) {
	t.Helper()
	from, at := netip.MustParseAddr(source), netip.MustParseAddr(to)
	family := unix.AF_INET
	if at.Is6() {
		family = unix.AF_INET6
	}
	receiver := -1
	var err error
	inNetwork(t, h.PID(), func() { receiver, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 112) })
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(receiver)
	before := h.dropped(t)
	inNetworkAt(t, h.file("/run/netns/"+namespace), func() { err = sendRaw(from, at, ttl, []byte("hapair: "+what)) })
	if err != nil {
		t.Fatalf("cannot send: %s: %v", what, err)
	}
	buffer, got, dropped := make([]byte, 2048), false, false
	for end := time.Now().Add(10 * time.Second); !got && !dropped && time.Now().Before(end); {
		n, _, err := unix.Recvfrom(receiver, buffer, 0)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
		got = err == nil && strings.Contains(string(buffer[:max(n, 0)]), what)
		dropped = h.dropped(t) > before
	}
	if got != accepted || dropped == accepted {
		t.Errorf("VRRP over %s: received %v, dropped %v", what, got, dropped)
	}
}

var counter = regexp.MustCompile(`counter packets (\d+) bytes \d+ drop`)

// dropped returns the number of packets that the node's rules have dropped.
func (h *host) dropped(t *testing.T) int {
	t.Helper()
	sum := 0
	for _, m := range counter.FindAllStringSubmatch(h.must(t, "nft", "list", "chain", "inet", "hapair", "vrrp"), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// sendRaw sends an IP packet of protocol 112 with its own header.
func sendRaw(from, to netip.Addr, ttl byte, payload []byte) error {
	if to.Is4() {
		b := []byte{0x45, 0xc0, 0, 0, 0, 0, 0, 0, ttl, 112, 0, 0} // the kernel sets length, ID and checksum (raw(7))
		b = append(append(b, from.AsSlice()...), to.AsSlice()...)
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, append(b, payload...), 0, &unix.SockaddrInet4{Addr: to.As4()})
	}
	b := []byte{0x60, 0, 0, 0, 0, 0, 112, ttl}
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, append(b, payload...), 0, &unix.SockaddrInet6{Addr: to.As16()})
}
