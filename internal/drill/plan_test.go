package drill

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/spec"
)

func parse(t *testing.T, text string) *spec.Spec {
	t.Helper()
	s, problems := spec.Parse("spec.yaml", []byte(text), spec.Sources{})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return s
}

// written returns a plan as text.
func written(p *plan) string {
	var b strings.Builder
	for _, n := range p.nodes {
		fmt.Fprintf(&b, "node %s: %v\n", n.host, n.interfaces)
	}
	for _, s := range p.servers {
		fmt.Fprintf(&b, "server %s: %s%s, %d\n", s.address, s.node, s.network, s.status)
	}
	for _, t := range p.targets {
		fmt.Fprintf(&b, "client of %s: %s on %s asks %s, home %q\n", t.name, t.client, t.network, t.question, t.home)
		for _, q := range t.more {
			fmt.Fprintf(&b, "    and %s: %s\n", q.service, q)
		}
	}
	for _, n := range p.notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

func TestPlanOfExamples(t *testing.T) {
	for name, want := range map[string]string{
		"controllers": `node controller-1: [{eth3 nodes} {eth4 eth4}]
node controller-2: [{eth3 nodes} {eth4 eth4}]
server 192.168.56.101:5000: controller-1, 200
server 192.168.56.102:5000: controller-2, 200
client of public: 192.168.1.129/24 on eth4 asks http://192.168.1.32:5000/v3, home ""
`,
		"active-active": `node edge1: [{ens3 nodes}]
node edge2: [{ens3 nodes}]
server 10.30.0.21:80: nodes, 200
server 10.30.0.22:80: nodes, 200
server 10.30.0.23:80: nodes, 200
client of first: 10.30.0.129/24 on nodes asks http://10.30.0.101:80/, home "edge1"
client of second: 10.30.0.130/24 on nodes asks http://10.30.0.102:80/, home "edge2"
`,
		"three-active": `node cdn1: [{ens3 nodes}]
node cdn2: [{ens3 nodes}]
node cdn3: [{ens3 nodes}]
server 10.70.0.21:80: nodes, 200
server 10.70.0.22:80: nodes, 200
server 10.70.0.23:80: nodes, 200
client of one: 10.70.0.129/24 on nodes asks http://10.70.0.101:80/, home "cdn1"
client of two: 10.70.0.130/24 on nodes asks http://10.70.0.102:80/, home "cdn2"
client of three: 10.70.0.131/24 on nodes asks http://10.70.0.103:80/, home "cdn3"
`,
		"tls": `node lb1: [{ens3 nodes}]
node lb2: [{ens3 nodes}]
server 10.20.0.21:8080: nodes, 200
server 10.20.0.22:8080: nodes, 200
client of portal: 10.20.0.129/24 on nodes asks https://10.20.0.10:443/health, home ""
`,
		"dual-stack": `node lb1: [{ens3 nodes}]
node lb2: [{ens3 nodes}]
server 192.0.2.21:80: nodes, 200
server [2001:db8:0:1::22]:80: nodes, 200
client of www (IPv4): 192.0.2.129/24 on nodes asks http://192.0.2.10:80/, home ""
client of www (IPv6): 2001:db8:0:1:8000::1/64 on nodes asks http://[2001:db8:0:1::10]:80/, home ""
`,
	} {
		t.Run(name, func(t *testing.T) {
			text, ok := examples.Get(name)
			if !ok {
				t.Fatal("there is no such example")
			}
			p, err := newPlan(parse(t, string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, written(p)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Every example must be possible to drill.
func TestPlanOfEveryExample(t *testing.T) {
	for _, name := range examples.Names() {
		text, _ := examples.Get(name)
		s := parse(t, string(text))
		Prepare(s)
		p, err := newPlan(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, target := range p.targets {
			if target.url == "" {
				t.Errorf("%s: no client tests %s: %v", name, target.name, p.notes)
			}
		}
	}
}

const awkward = `apiVersion: hapair/v1
cluster: awkward
nodes:
  - {name: a, address: 10.0.0.1, interface: eth0}
  - {name: b, address: 10.0.0.2, interface: eth0}
vips:
  - {name: own, address: 10.0.0.128/24, interface: eth0}
  - {name: quiet, address: 10.0.0.130/24, interface: eth0}
services:
  - {name: near, vip: own, port: 80, servers: [{name: s, address: 10.0.0.129}, {name: far, address: 172.16.0.1}]}
`

// The plan must name what cannot be simulated, and simulate the rest.
func TestPlanLeavesOut(t *testing.T) {
	s := parse(t, awkward)
	if notes := Prepare(s); len(notes) != 2 || s.Nodes[0].Addresses[0].Bits != 24 {
		t.Errorf("an address without a prefix: %v, %v", notes, s.Nodes[0].Addresses)
	}
	p, err := newPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `node a: [{eth0 nodes}]
node b: [{eth0 nodes}]
server 10.0.0.129:80: nodes, 200
client of own: 10.0.0.131/24 on nodes asks http://10.0.0.128:80/, home ""
client of quiet: invalid Prefix on  asks , home ""
note: server far of near is not simulated: 172.16.0.1 is not on a network of the nodes
note: no client tests quiet at 10.0.0.130: it has no service with a server that the drill can simulate; the drill only watches its holder
`
	if diff := cmp.Diff(want, written(p)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPlanWithNothingToAsk(t *testing.T) {
	_, err := newPlan(parse(t, strings.ReplaceAll(awkward, "{name: s, address: 10.0.0.129}, ", "")))
	if err == nil || !strings.Contains(err.Error(), "far of near is not simulated") {
		t.Errorf("error %v", err)
	}
}

func TestFaultNames(t *testing.T) {
	want := "haproxy-kill haproxy-stop node-crash link-cut partition maintenance reload bad-config reboot shutdown keepalived-stop keepalived-kill node-freeze"
	if got := strings.Join(FaultNames(), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	err := CheckFaults([]string{"reload", "flood"})
	if err == nil || !strings.Contains(err.Error(), `"flood"`) || !strings.Contains(err.Error(), "bad-config") {
		t.Errorf("error %v", err)
	}
	list, err := new(Cluster).chosen([]string{"reboot", "reload"})
	if err != nil || len(list) != 2 || list[0].Name != "reboot" {
		t.Errorf("chosen: %v, %v", list, err)
	}
}

// A bond and a VLAN of the spec are Ethernet devices in the drill. A custom network configuration defines its own interface
// names.
func TestPlanOfDescribedInterfaces(t *testing.T) {
	s := parse(t, `apiVersion: hapair/v1
cluster: described
nodes:
  - name: a
    address: 10.0.0.1/24
    interface: {name: bond0, bond: [ens4, ens5]}
    interfaces: [{name: ens4, mac: 52:54:00:12:34:56}]
  - name: b
    address: 10.0.0.2/24
    interface: eth0
    network: {version: 2, ethernets: {lan: {match: {macaddress: '52:54:00:12:34:57'}, set-name: eth0}, other: {match: {driver: virtio_net}}}}
vips:
  - {name: own, address: 10.0.1.128/24, interface: {name: v100, vlan: 100, link: bond0}}
services:
  - {name: near, vip: own, port: 80, servers: [{name: s, address: 10.0.0.129}]}
`)
	if notes := Prepare(s); len(notes) != 2 {
		t.Errorf("notes: %v", notes)
	}
	p, err := newPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	want := "[{bond0 nodes} {ens4 ens4} {v100 v100}] [{eth0 nodes} {v100 v100}]"
	if got := fmt.Sprint(p.nodes[0].interfaces, p.nodes[1].interfaces); got != want {
		t.Errorf("the nodes have %s, want %s", got, want)
	}
}
