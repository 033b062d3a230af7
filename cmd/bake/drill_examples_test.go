package main

import (
	"slices"
	"testing"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// judgedOnly are examples whose nodes and VIPs are arranged as in others that are drilled. They differ in services, and
// internal/recipe has haproxy judge those on every release.
var judgedOnly = []string{"galera", "gitlab", "kubernetes", "object-storage", "openstack", "patroni", "rabbitmq"}

// drilledInEachTier are examples that differ most in what a drill does: addresses of both families, the PROXY protocol, three
// nodes, and TLS with redirects and routes. The wide tier also drills the others.
var drilledInEachTier = []string{"dual-stack", "mail", "three-nodes", "web"}

// drillExamples boots every example but judgedOnly and kills its haproxy. Each address of each VIP must be served, by IPv4 and by
// IPv6, and must move because of the track file. All nodes must work correctly.
func drillExamples(t *testing.T, images *goldenImages) {
	for _, name := range examples.Names() {
		if slices.Contains(judgedOnly, name) || !needs.Wide(t) && !slices.Contains(drilledInEachTier, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := images.with(t, name, exampleText(t, name))
			drillExample(t, b, images.of(t, b))
		})
	}
}

func drillExample(t *testing.T, b *cluster.Bake, golden string) {
	r := drillToEnd(t, b, golden, exitstatus.OK, "--fault", "haproxy-kill")
	if len(r.Faults) != 1 || !r.Good {
		t.Fatalf("the verdict is %q after %d faults: %q", r.Verdict(), len(r.Faults), r.Problems)
	}
	for _, run := range r.Faults[0].Runs {
		if run.By != "track file" {
			t.Errorf("%s reacted by its %q, want the track file", run.Struck, run.By)
		}
		for _, v := range run.VIPs {
			t.Logf("%s struck: %s was on %s, then on %s, gap %v ms", run.Struck, v.Name, v.Before, v.During, v.Gap)
			if !v.Asked || v.Requests <= v.Lost {
				t.Errorf("%s is not served: %d of %d requests lost", v.Name, v.Lost, v.Requests)
			}
			if v.Struck && v.Moved == 0 {
				t.Errorf("%s did not move", v.Name)
			}
		}
	}
}
