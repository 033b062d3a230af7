package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

// tries of each way: the median is what is reported.
const tries = 20

// BenchmarkReload measures, side by side, how long it takes from saving a haproxy.cfg until the VIP serves it: by the
// agent, which validates and proves, and by what people do by hand, which does less. All of them include the time that a
// shell needs to start on the node; haproxy -c alone is beside them for its price.
func BenchmarkReload(b *testing.B) {
	c := boot(b, build(b).Golden(b, "trixie"))
	holder, _ := c.Settle(b)
	original, err := holder.ReadFile(cluster.HAProxyConfig)
	if err != nil {
		b.Fatal(err)
	}
	must := func(script string) {
		if _, err := holder.Must(b.Context(), "sh", "-euc", script); err != nil {
			b.Fatal(err)
		}
	}
	const save = `cp -p "$1" "$1.new" && cat >"$1.new" && mv "$1.new" "$1"`
	for _, way := range []struct{ name, before, script string }{
		{"ha-agent", "systemctl start ha-agent", save},
		{"systemctl-reload", "systemctl stop ha-agent", save + " && systemctl reload haproxy"},
		{"bare-USR2", "systemctl stop ha-agent", save + ` && kill -USR2 "$(systemctl show -P MainPID haproxy)"`},
	} {
		must(way.before)
		b.Run(way.name, func(b *testing.B) {
			var took []time.Duration
			for i := range tries {
				mark := fmt.Sprintf("%s-%d", way.name, i)
				took = append(took, c.inForce(b, holder, way.script, cluster.Marked(string(original), mark), mark))
				if way.name == "ha-agent" { // the next change is one of its own
					cluster.Eventually(b.Context(), b, faultLimit, func() error { return proven(b.Context(), holder) })
				}
			}
			report(b, took)
		})
	}
	b.Run("haproxy-c-alone", func(b *testing.B) {
		var took []time.Duration
		for range tries {
			start := time.Now()
			must("haproxy -c -q -f " + cluster.HAProxyConfig)
			took = append(took, time.Since(start))
		}
		report(b, took)
	})
}

// inForce runs a script that saves what it reads, and measures how long it takes until the VIP serves it.
func (c controllers) inForce(b *testing.B, h *lab.Host, script, content, mark string) time.Duration {
	b.Helper()
	cmd, err := h.Command(b.Context(), "sh", "-euc", script, "sh", cluster.HAProxyConfig)
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdin = strings.NewReader(content)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for err := c.serves(b.Context(), mark); err != nil; err = c.serves(b.Context(), mark) {
		if time.Since(start) > faultLimit {
			b.Fatal(err)
		}
		<-tick.C
	}
	return time.Since(start)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(took[len(took)/2]), "median-ms")
	b.ReportMetric(ms(took[len(took)-1]), "worst-ms")
	b.ReportMetric(0, "ns/op")
}
