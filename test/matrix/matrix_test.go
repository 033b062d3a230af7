// Package matrix causes every fault of a pair of load balancers that is known, each while two clients send requests. It
// writes the tables in docs/faults.md from what the clients and the kernels of both nodes observed. All faults are tested
// with an IPv4 pair, a few of them with an IPv6-only pair, and in the wide tier more with that and with a dual-stack pair;
// HAPAIR_FAMILY=dual,ipv6 tests all of them with the named pairs.
package matrix

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

var update = flag.Bool("update", false, "write docs/faults.md")

func TestMatrix(t *testing.T) {
	var tables []table
	defaults := []cluster.Family{cluster.IPv4, cluster.IPv6}
	if *update || needs.Wide(t) {
		defaults = []cluster.Family{cluster.IPv4, cluster.Dual, cluster.IPv6} // in the order of the page
	}
	families, named := cluster.Families(t, defaults...)
	for _, name := range cluster.Releases(t, "noble") {
		b := cluster.Build(t, cluster.PairSpec(""), "-tags=faultpoints")
		// All address families use the same image, because an image has no addresses.
		var golden string
		image := func(t *testing.T) string {
			if golden == "" {
				golden = b.Image(t, name)
			}
			return golden
		}
		for _, family := range families {
			t.Run(name+"/"+string(family), func(t *testing.T) {
				p := boot(t, b, image(t), name, family)
				tables = append(tables, p.suffer(t, rowsOf(t, named || family == cluster.IPv4)))
			})
		}
	}
	if *update && !t.Failed() {
		old, err := os.ReadFile(cluster.FaultPage)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(cluster.FaultPage, render(string(old), tables), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// familyRows are the rows that the page also has for the dual-stack and the IPv6-only pair.
var familyRows = []string{
	"broken haproxy.cfg, saved by rename",
	"`haproxy -c` passes, and cannot be bound: another program has the address",
	"haproxy killed",
	"haproxy stopped by SIGSTOP",
	"by SIGKILL, all its processes",
	"reboot with both files broken",
	"power cut with both files broken",
	"link of the VIP's network cut for 3 s",
	"link of the nodes' network cut for 3 s",
	"both nodes cut from each other for 8 s",
	"another virtual_router_id, on the backup",
	"maintenance, on while a change is carried out, and off",
	"the holder paused for 3 s",
}

// mostFamilyRows are those of familyRows that differ most with IPv6. Every run tests them with the IPv6-only pair.
var mostFamilyRows = []string{
	"`haproxy -c` passes, and cannot be bound: another program has the address",
	"by SIGKILL, all its processes",
	"power cut with both files broken",
	"link of the VIP's network cut for 3 s",
	"both nodes cut from each other for 8 s",
}

// rowsOf returns all rows, or only those that depend on the address family.
func rowsOf(t *testing.T, all bool) []row {
	names := familyRows
	if !*update && !needs.Wide(t) {
		names = mostFamilyRows
	}
	return slices.DeleteFunc(rows(), func(r row) bool { return !all && !slices.Contains(names, r.name) })
}

func rows() []row {
	return slices.Concat(editRows(), agentRows(), serviceRows(), keepalivedRows(), networkRows(), splitRows(), maintenanceRows(), calmRows())
}

// TestPageNamesEveryRow checks that the page is up to date with the rows.
func TestPageNamesEveryRow(t *testing.T) {
	text, err := os.ReadFile(cluster.FaultPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows() {
		if !strings.Contains(string(text), "| "+r.name+" |") {
			t.Errorf("%s has no row %q: run go test ./test/matrix -update", cluster.FaultPage, r.name)
		}
	}
	for _, name := range slices.Concat(familyRows, mostFamilyRows) {
		if !slices.ContainsFunc(rows(), func(r row) bool { return r.name == name }) {
			t.Errorf("there is no row %q for the other address families", name)
		}
		if strings.Count(string(text), "| "+name+" |") < 3 {
			t.Errorf("%s does not have the row %q for each address family: run go test ./test/matrix -update", cluster.FaultPage, name)
		}
	}
}

// pair is the two nodes, with the original content of their files.
type pair struct {
	*cluster.Cluster
	release  string
	urls     []string                     // URLs of the VIP's addresses
	original map[string]map[string]string // file contents by host and path
}

// boot boots both nodes from an image, and waits until both have proven their files.
func boot(t *testing.T, b *cluster.Bake, image, releaseName string, family cluster.Family) *pair {
	t.Helper()
	b.Write(t, family.Spec(cluster.PairSpec("")))
	b.Family = family
	p := &pair{b.Nodes(t, releaseName, image), releaseName, family.URLs(cluster.VIP, cluster.PairPort, "/"), map[string]map[string]string{}}
	if err := p.ServePair(); err != nil {
		t.Fatal(err)
	}
	p.Boot(t)
	for _, h := range p.Nodes {
		p.original[h.Name] = map[string]string{}
		for _, path := range []string{haproxyCfg, keepalivedConf} {
			data, err := h.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p.original[h.Name][path] = string(data)
		}
	}
	return p
}

// suffer tests rows.
func (p *pair) suffer(t *testing.T, rows []row) table {
	tab := table{release: p.release, family: p.Family}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			start := time.Now()
			res := p.row(t, r)
			tab.results = append(tab.results, res)
			t.Logf("%s: fresh %v; kept alive %v; %s; status: %s; %s; took %v",
				r.name, res.fresh, res.kept, res.holders, res.said, res.end, time.Since(start).Round(100*time.Millisecond))
		})
	}
	versions, err := cluster.Versions(t.Context(), p.hosts()[0])
	if err != nil {
		t.Fatal(err)
	}
	tab.versions = versions
	return tab
}

// hosts returns both nodes, in order.
func (p *pair) hosts() []*lab.Host {
	var hosts []*lab.Host
	for _, name := range slices.Sorted(maps.Keys(p.Nodes)) {
		hosts = append(hosts, p.Nodes[name])
	}
	return hosts
}
