package bench

import (
	"fmt"
	"testing"

	"github.com/hapair/hapair/test/bench/limits"
	"github.com/hapair/hapair/test/cluster"
)

const aboutLimits = `How much disturbance a pair tolerates before its virtual IP moves unnecessarily, by its advert_int. The holder is paused, as a
hypervisor pauses a virtual machine, for the given number of advertisement intervals, five times each, at different phases of the
interval. Then endless programs run on the holder, each as a separate service, on the processors that both nodes share.`

// BenchmarkLimits measures how long a holder may freeze, and how busy it may be.
func BenchmarkLimits(b *testing.B) {
	bake := cluster.Build(b, spec("250ms"))
	image := bake.Image(b, "trixie")
	table := found.table(Table{Name: "limits", Title: "What moves nothing", Unit: "moves", What: "disturbance", About: aboutLimits})
	for _, advertInt := range []string{"250ms", "100ms", "30ms"} {
		b.Run(advertInt, func(b *testing.B) {
			p := bootPair(b, bake, "trixie", image, way{advertInt: advertInt})
			if _, err := p.settle(b.Context()); err != nil {
				b.Fatal(err)
			}
			r, err := limits.Measure(b.Context(), p.Cluster, url)
			if err != nil {
				b.Fatal(err)
			}
			for _, pause := range r.Pauses {
				table.add(fmt.Sprintf("holder paused for %g advertisements", pause.Adverts), advertInt, Sample{Note: fmt.Sprintf("%d of %d", pause.Moved, pause.Tries)})
			}
			table.add(fmt.Sprintf("%d busy programs for %v", r.Load.Programs, r.Load.Lasted), advertInt,
				Sample{Note: fmt.Sprintf("%d; no answer for %d ms at most", r.Load.Moves, r.Load.Gap.Milliseconds())})
			tell("limits at %s: %+v", advertInt, r)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(r.Load.Moves), "moves-under-load")
		})
	}
}
