// Package matrix breaks a pair of load balancers in every way that is known to break one, each beside two clients that ask
// steadily, and makes the tables in docs/faults.md of what they and the kernels of both nodes saw. It does so to a pair of
// IPv4, and a part of it to a dual-stack and an IPv6-only pair; HAPAIR_FAMILY=dual,ipv6 does all of it to the pairs that it
// names.
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
	"github.com/hapair/hapair/test/cluster"
)

var update = flag.Bool("update", false, "write docs/faults.md")

func TestMatrix(t *testing.T) {
	var tables []table
	families, named := cluster.Families(t, cluster.IPv4, cluster.Dual, cluster.IPv6)
	for _, name := range cluster.Releases(t, "noble") {
		b := cluster.Build(t, cluster.PairSpec(""), "-tags=faultpoints")
		// Address families share an image: it has no addresses.
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
				tables = append(tables, p.suffer(t, named || family == cluster.IPv4))
			})
		}
	}
	if *update && !t.Failed() {
		old, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(page, render(string(old), tables), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// familyRows are the rows that every run goes through for the dual-stack and the IPv6-only pair, too.
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

func rows() []row {
	return slices.Concat(editRows(), agentRows(), serviceRows(), keepalivedRows(), networkRows(), splitRows(), maintenanceRows(), calmRows())
}

// TestPageNamesEveryRow sees that the page is not of an older matrix.
func TestPageNamesEveryRow(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows() {
		if !strings.Contains(string(text), "| "+r.name+" |") {
			t.Errorf("%s has no row %q: go test ./test/matrix -update writes it anew", page, r.name)
		}
	}
	for _, name := range familyRows {
		if !slices.ContainsFunc(rows(), func(r row) bool { return r.name == name }) {
			t.Errorf("there is no row %q for the other address families", name)
		}
		if strings.Count(string(text), "| "+name+" |") < 3 {
			t.Errorf("%s has no row %q of each address family: go test ./test/matrix -update writes it anew", page, name)
		}
	}
}

// pair is the two nodes, and what their files are when nothing is broken.
type pair struct {
	*cluster.Cluster
	release  string
	urls     []string                     // of the VIP's addresses
	original map[string]map[string]string // by host and path
}

// boot boots both nodes of an image, and waits until both have proven what they run on.
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

// suffer goes through all rows, or those that are not the same over another address family.
func (p *pair) suffer(t *testing.T, all bool) table {
	tab := table{release: p.release, family: p.Family}
	for _, r := range rows() {
		if !all && !slices.Contains(familyRows, r.name) {
			continue
		}
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

// hosts are both nodes, in order.
func (p *pair) hosts() []*lab.Host {
	var hosts []*lab.Host
	for _, name := range slices.Sorted(maps.Keys(p.Nodes)) {
		hosts = append(hosts, p.Nodes[name])
	}
	return hosts
}
