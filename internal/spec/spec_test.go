package spec

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const small = `apiVersion: hapair/v1
cluster: test
nodes:
  - {name: lb1, address: 192.0.2.1/24, interface: eth0}
  - {name: lb_2, address: [192.0.2.2/24, "2001:db8::2"], interface: eth1}
  - {name: lb3, address: 192.0.2.3/24, interface: eth0}
vips:
  - {name: public, address: 192.0.2.10/24}
services:
  - {name: web, vip: public, port: 80, servers: [{name: a, address: 198.51.100.1}, {name: b, address: 198.51.100.2, port: 8080}]}
`

// parse demands a spec without errors.
func parse(t *testing.T, text string, src Sources) *Spec {
	t.Helper()
	s, problems := Parse("spec.yaml", []byte(text), src)
	if problems.HasErrors() {
		t.Fatalf("unexpected problems:\n%v", problems)
	}
	return s
}

func TestDefaults(t *testing.T) {
	s := parse(t, small+"stats: {user: admin, password: {env: PW}}\n", Sources{})
	web := s.Services[0]
	for what, ok := range map[string]bool{
		"release":       s.Image.Release == "noble",
		"advert_int":    s.VRRP.AdvertInt == 250*time.Millisecond,
		"preempt":       !s.VRRP.Preempt,
		"transport":     s.VRRP.Transport == Unicast,
		"log":           s.Log == Log{Target: LocalLog, Facility: "local0"},
		"stats.port":    s.Stats.Port == 1936,
		"mode":          web.Mode == TCP,
		"balance":       web.Balance == "roundrobin",
		"server's port": web.Servers[0].Port == 80 && web.Servers[1].Port == 8080,
		"host name":     s.Nodes[0].Hostname == "lb1" && s.Nodes[1].Hostname == "lb-2",
		"check and tls": web.Check == nil && web.TLS == nil,
		"prefix":        s.Nodes[1].Addresses[1].Bits == 0 && s.Nodes[0].Addresses[0].Bits == 24,
		"router id":     s.VIPs[0].VirtualRouterID > 0,
		"digest":        len(s.Digest) == 64,
	} {
		if !ok {
			t.Errorf("%s: not the default: %+v", what, s)
		}
	}
}

func TestLog(t *testing.T) {
	for text, want := range map[string]struct {
		target, facility, first, third string
	}{
		"/dev/log":                          {"/dev/log", "local0", "", ""},
		"node":                              {"node", "local0", "192.0.2.1:514", "192.0.2.3:514"},
		"{facility: daemon}":                {"/dev/log", "daemon", "", ""},
		"{}":                                {"/dev/log", "local0", "", ""},
		"{address: node, facility: local3}": {"node", "local3", "192.0.2.1:514", "192.0.2.3:514"},
		"198.51.100.5":                      {"198.51.100.5", "local0", "198.51.100.5:514", "198.51.100.5:514"},
		`{address: "198.51.100.5:1514"}`:    {"198.51.100.5:1514", "local0", "198.51.100.5:1514", "198.51.100.5:1514"},
		`{address: "[2001:db8::5]:1514"}`:   {"[2001:db8::5]:1514", "local0", "[2001:db8::5]:1514", "[2001:db8::5]:1514"},
		`{address: "2001:db8::5", facility: ntp}`: {"2001:db8::5", "ntp", "[2001:db8::5]:514", "[2001:db8::5]:514"},
	} {
		s := parse(t, small+"log: "+text+"\n", Sources{})
		var got []string
		for _, i := range []int{0, 2} {
			ap, udp := s.Log.AddrPort(&s.Nodes[i])
			if !udp {
				got = append(got, "")
				continue
			}
			got = append(got, ap.String())
		}
		if s.Log.Target != want.target || s.Log.Facility != want.facility || got[0] != want.first || got[1] != want.third {
			t.Errorf("%s: got %+v, %q", text, s.Log, got)
		}
	}
}

func TestQueries(t *testing.T) {
	s := parse(t, small, Sources{})
	v := s.VIP("public")
	if v == nil || s.VIP("other") != nil || s.Node("lb3") != &s.Nodes[2] || s.Node("x") != nil {
		t.Error("names are not found")
	}
	if v.InterfaceOn(&s.Nodes[1]) != "eth1" || (&VIP{Interface: "eth9"}).InterfaceOn(&s.Nodes[1]) != "eth9" {
		t.Error("the VIP is not on the node's own interface")
	}
	if peers := s.Peers(&s.Nodes[1]); len(peers) != 2 || peers[0].Name != "lb1" || peers[1].Name != "lb3" {
		t.Errorf("peers: %v", peers)
	}
	if a := s.Nodes[1].Addr(IPv6); a != netip.MustParseAddr("2001:db8::2") || s.Nodes[0].Addr(IPv6).IsValid() {
		t.Errorf("addresses of a family: %s", a)
	}
	if p := s.Nodes[1].Addresses[1].Prefix().String(); p != "2001:db8::2/128" {
		t.Errorf("the prefix that was left out is %s", p)
	}
	if v.Addr(IPv4) != netip.MustParseAddr("192.0.2.10") || v.Addr(IPv6).IsValid() {
		t.Error("the VIP's addresses of a family")
	}
}

func TestPriorities(t *testing.T) {
	s := parse(t, small, Sources{})
	for prefer, want := range map[string][]int{
		"": {254, 252, 250}, "lb1": {254, 252, 250}, "lb_2": {252, 254, 250}, "lb3": {252, 250, 254},
	} {
		var got []int
		for i := range s.Nodes {
			got = append(got, s.PriorityOf(&s.Nodes[i], &VIP{Prefer: prefer}))
		}
		if !slices.Equal(got, want) {
			t.Errorf("prefer %q: %v, want %v", prefer, got, want)
		}
	}
	if p := s.PriorityOf(&Node{Name: "other"}, &VIP{}); p != 0 {
		t.Errorf("a node of another cluster has the priority %d", p)
	}
}

// Track scripts that raise a priority lower where it begins, so that it stays within 1 to 254, for all VIPs of a group alike.
func TestPrioritiesWithWeights(t *testing.T) {
	s := &Spec{Nodes: []Node{{Name: "a"}, {Name: "b"}}, VIPs: []VIP{
		{Name: "v", Group: "g", TrackScripts: []TrackScript{{Weight: 20}, {Weight: -30}}},
		{Name: "w", Group: "g", TrackScripts: []TrackScript{{Weight: 5}, {}}}, {Name: "alone"}}}
	for i, want := range [][]int{{229, 227, 197}, {229, 227, 197}, {254, 252, 252}} {
		v := &s.VIPs[i]
		if got := []int{s.PriorityOf(&s.Nodes[0], v), s.PriorityOf(&s.Nodes[1], v), s.LowestPriority(v)}; !slices.Equal(got, want) {
			t.Errorf("VIP %s: the priorities and the lowest are %v, want %v", v.Name, got, want)
		}
	}
}

// Whoever holds a VIP stands above all others, and everybody's priority stays within 1 to 254.
func TestHolderBonus(t *testing.T) {
	for n, want := range map[int]int{2: 3, 3: 5, 10: 19, 64: 127, 65: 0, 254: 0} {
		s := &Spec{Nodes: make([]Node, n)}
		for i := range s.Nodes {
			s.Nodes[i].Name = fmt.Sprint(i)
		}
		bonus := s.HolderBonus()
		if bonus != want {
			t.Errorf("%d nodes: the bonus is %d, want %d", n, bonus, want)
		}
		highest, lowest := s.PriorityOf(&s.Nodes[0], &VIP{})-bonus, s.PriorityOf(&s.Nodes[n-1], &VIP{})-bonus
		if lowest < 1 || bonus > 0 && lowest+bonus <= highest {
			t.Errorf("%d nodes have priorities from %d to %d, and a bonus of %d", n, lowest, highest, bonus)
		}
		s.VRRP.Preempt = true
		if bonus := s.HolderBonus(); bonus != 0 {
			t.Errorf("under preempt the bonus is %d", bonus)
		}
	}
}

// Any number of nodes has priorities of its own, from 1 to 254.
func TestPrioritiesOfManyNodes(t *testing.T) {
	for _, n := range []int{2, 127, 128, 254} {
		s := &Spec{Nodes: make([]Node, n)}
		for i := range s.Nodes {
			s.Nodes[i].Name = fmt.Sprint(i)
		}
		seen := map[int]bool{}
		for i := range s.Nodes {
			p := s.PriorityOf(&s.Nodes[i], &VIP{Prefer: "1"})
			if p < 1 || p > 254 || seen[p] {
				t.Fatalf("%d nodes: node %d has the priority %d", n, i, p)
			}
			seen[p] = true
		}
	}
}

func TestVRRPFamily(t *testing.T) {
	both := []Address{{Addr: netip.MustParseAddr("192.0.2.1")}, {Addr: netip.MustParseAddr("2001:db8::1")}}
	v4, v6 := both[:1], both[1:]
	swapped := []Address{both[1], both[0]}
	for name, c := range map[string]struct {
		nodes, vip []Address
		transport  Transport
		want       Family
	}{
		"IPv4":                        {v4, v4, Unicast, IPv4},
		"IPv6":                        {v6, v6, Unicast, IPv6},
		"IPv6 over IPv4 nodes":        {v4, v6, Unicast, 0},
		"IPv6 multicast":              {v4, v6, Multicast, IPv6},
		"IPv4 multicast over IPv6":    {v6, v4, Multicast, 0},
		"both over IPv4 nodes":        {v4, both, Unicast, IPv4},
		"both over IPv6 nodes":        {v6, both, Unicast, IPv6},
		"both over both":              {both, both, Unicast, IPv4},
		"both over both, IPv6 first":  {both, swapped, Unicast, IPv6},
		"both, multicast, IPv4 first": {v4, both, Multicast, IPv4},
	} {
		s := &Spec{Nodes: []Node{{Addresses: both}, {Addresses: c.nodes}}, VRRP: VRRP{Transport: c.transport}}
		if got, ok := s.VRRPFamily(&VIP{Addresses: c.vip}); got != c.want || ok != (c.want != 0) {
			t.Errorf("%s: %d, %t, want %d", name, got, ok, c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cluster.yaml"), small+"stats: {user: admin, password: {file: secrets/stats}}\n", 0o644)
	write(t, filepath.Join(dir, "secrets", "stats"), "hunter2\n", 0o600)
	s, problems := Load(filepath.Join(dir, "cluster.yaml"))
	if problems.HasErrors() || s.Stats.Password.Reveal() != "hunter2" {
		t.Errorf("got %v", problems)
	}
	if _, problems := Load(filepath.Join(dir, "missing.yaml")); !problems.HasErrors() || !strings.Contains(problems.Error(), "cannot read the spec") {
		t.Errorf("got %v", problems)
	}
	write(t, filepath.Join(dir, "large.yaml"), strings.Repeat("# large\n", maxFile/8+1), 0o644)
	if _, problems := Load(filepath.Join(dir, "large.yaml")); !problems.HasErrors() || !strings.Contains(problems.Error(), "the file has 2097160 bytes, which is more than the limit of 2 MiB") {
		t.Errorf("got %v", problems)
	}
}

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
