package machine

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

// Addresses, as in examples/controllers.yaml.
const (
	vip     = "192.168.1.32"
	service = "http://192.168.1.32:5000/"
)

// Time limits: emulation is 20 to 50 times slower than a machine, and two machines may share two processors with other
// tests.
const (
	bootLimit = 15 * time.Minute
	moveLimit = 2 * time.Minute
	// hooksLimit is that of the hooks of a kernel's package. Debian's make an initramfs of every module.
	hooksLimit = 45 * time.Minute
)

// node is a machine of the pair, with its values in the spec.
type node struct {
	name    string // in the spec
	address string
	macs    [2]string
	*Machine
}

// wiring describes how nodes are connected: the keys of nodes and of the VIP in the spec that describe interfaces, and the
// networks of the nodes' cards.
type wiring struct {
	node  func(n *node) string
	vip   string // the VIP's interface
	cards func(t *testing.T, l *lab.Lab, n *node) []Card
}

// twoSegments returns a wiring in which each node has a card on the network of the nodes and one on the clients' network.
func twoSegments() wiring {
	return wiring{vip: "eth4",
		node: func(n *node) string {
			return fmt.Sprintf(`interface: {name: eth3, mac: "%s"}, interfaces: [{name: eth4, mac: "%s"}]`, n.macs[0], n.macs[1])
		},
		cards: func(_ *testing.T, _ *lab.Lab, n *node) []Card {
			return []Card{{MAC: n.macs[0], Network: "management"}, {MAC: n.macs[1], Network: "public"}}
		}}
}

// bondAndVLAN returns a wiring in which each node has two bonded cards on a trunk. Untagged frames belong to the nodes'
// network, and VLAN 100 is the clients' network.
func bondAndVLAN() wiring {
	trunks := map[*lab.Lab]*Trunk{}
	return wiring{vip: "{name: bond0.100, vlan: 100, link: bond0}",
		node: func(n *node) string {
			return fmt.Sprintf(`interface: {name: bond0, bond: [port1, port2]}, interfaces: [{name: port1, mac: "%s"}, {name: port2, mac: "%s"}]`,
				n.macs[0], n.macs[1])
		},
		cards: func(t *testing.T, l *lab.Lab, n *node) []Card {
			if trunks[l] == nil {
				trunks[l] = NewTrunk(t, l, map[uint16]string{0: "management", 100: "public"})
			}
			return []Card{{MAC: n.macs[0], Trunk: trunks[l]}, {MAC: n.macs[1], Trunk: trunks[l]}}
		}}
}

func newNodes() []*node {
	var nodes []*node
	for i := 1; i <= 2; i++ {
		nodes = append(nodes, &node{name: fmt.Sprintf("controller_%d", i), address: fmt.Sprintf("192.168.56.10%d", i),
			macs: [2]string{fmt.Sprintf("52:54:00:56:00:0%d", i), fmt.Sprintf("52:54:00:01:00:0%d", i)}})
	}
	return nodes
}

// spec returns the spec of the pair.
func spec(w wiring, nodes []*node, a *Admin) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: hapair/v1\ncluster: pair\naccess: {users: [{name: %s, sudo: true, ssh_authorized_keys: [%q]}]}\nnodes:\n", a.User, a.Key)
	for _, n := range nodes {
		fmt.Fprintf(&b, "  - {name: %s, address: %s/24, %s}\n", n.name, n.address, w.node(n))
	}
	fmt.Fprintf(&b, "vips:\n  - {name: public, address: %s/24, interface: %s}\n", vip, w.vip)
	b.WriteString(`services:
  - name: web
    vip: public
    port: 5000
    mode: http
    check: {http: GET /, expect: 200}
    servers: [{name: web_1, address: 192.168.56.201}, {name: web_2, address: 192.168.56.202}]
`)
	return []byte(b.String())
}

// world is a lab with the pair's machines (off), servers, a client, and an administrator.
type world struct {
	*cluster.Bake
	lab    *lab.Lab
	admin  *Admin
	client *lab.Client
	wiring wiring
	nodes  []*node
}

// newWorld builds the programs and the lab. After that, call machines.
func newWorld(t *testing.T, w wiring) *world {
	t.Helper()
	world := &world{wiring: w, nodes: newNodes(), admin: NewKey(t, "ops")}
	world.Bake = cluster.Build(t, spec(w, world.nodes, world.admin))
	world.lab = labtest.Lab(t)
	l := world.lab
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("web\n")) })
	for _, server := range []string{"192.168.56.201/24", "192.168.56.202/24"} {
		if err := l.Serve("management", netip.MustParsePrefix(server), 5000, answer); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if world.client, err = l.AddClient(t.Context(), "user", "public", netip.MustParsePrefix("192.168.1.100/24")); err != nil {
		t.Fatal(err)
	}
	admin, err := l.AddClient(t.Context(), "admin", "management", netip.MustParsePrefix("192.168.56.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	world.admin.On(admin)
	return world
}

// machines creates the nodes' machines from an image of a release.
func (w *world) machines(t *testing.T, release, image string, firmware Firmware, count int) {
	t.Helper()
	seeds := filepath.Join(w.Dir, "seeds-"+release)
	w.Run(t, "cloud-init", w.Spec, "--release", release, "-o", seeds)
	w.admin.Forget(t)
	for _, n := range w.nodes[:count] {
		n.Machine = New(t, w.lab, Config{Name: n.name, Image: image, Seed: filepath.Join(seeds, n.name, "seed.iso"),
			Firmware: firmware, Cards: w.wiring.cards(t, w.lab, n)})
	}
}

// booted waits until a node has a boot other than before, and returns its ID.
func (w *world) booted(t *testing.T, n *node, before string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	start := time.Now()
	id, err := w.admin.WaitBooted(ctx, n.Machine, n.address, before)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: up after %v", n.name, time.Since(start).Round(time.Second))
	return id
}

// reboot is a command that ends before its connection is cut.
const reboot = "systemd-run --quiet --on-active=1 systemctl reboot"

// must runs a script on a node.
func (w *world) must(t *testing.T, n *node, script string) string {
	t.Helper()
	return w.mustWithin(t, bootLimit, n, script)
}

func (w *world) mustWithin(t *testing.T, limit time.Duration, n *node, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := w.admin.Run(ctx, n.address, script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
