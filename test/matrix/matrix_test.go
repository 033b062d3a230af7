// Package matrix breaks a pair of load balancers in every way that is known to break one, each beside two clients that ask
// steadily, and makes the table in docs/faults.md of what they and the kernels of both nodes saw.
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

const url = cluster.PairURL

func TestMatrix(t *testing.T) {
	var tables []table
	for _, name := range cluster.Releases(t, "trixie") {
		t.Run(name, func(t *testing.T) {
			p := boot(t, name)
			tables = append(tables, p.suffer(t))
		})
	}
	if *update {
		if err := os.WriteFile(page, render(tables), 0o644); err != nil {
			t.Fatal(err)
		}
	}
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
}

// pair is the two nodes, and what their files are when nothing is broken.
type pair struct {
	*cluster.Cluster
	release  string
	original map[string]map[string]string // by host and path
}

// boot bakes an image, boots both nodes, and waits until both have proven what they run on.
func boot(t *testing.T, releaseName string) *pair {
	t.Helper()
	p := &pair{cluster.Build(t, cluster.PairSpec(""), "-tags=faultpoints").Golden(t, releaseName), releaseName, map[string]map[string]string{}}
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

// suffer goes through all rows.
func (p *pair) suffer(t *testing.T) table {
	tab := table{release: p.release}
	for _, r := range rows() {
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
