package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/test/cluster"
)

const aboutFaults = `How long a client of the virtual IP gets no answer after a fault of the node that holds it. The client sends a request every 5 ms
over a new connection. The figure is the longest time between two answers, from the fault until the VIP is served again. The
faults of the first rows strike a pair of hapair %d times, the other faults %d times, and all of them the other pairs %d times. The
time of a fault is random relative to all timers. If the VIP is not served again, the bench waits for %.0f s.

The columns are pairs with the same image. *hapair* uses the files that ` + "`bake`" + ` makes from a spec, with the default advert_int and with a
shorter one. *tutorial* uses the keepalived.conf of most tutorials (advert_int 1, ` + "`killall -0 haproxy`" + ` every 2 s, weight 2). *Octavia's
values* uses the values of OpenStack's load balancers (a check of haproxy's socket every 5 s, twice; advert_int 1). Both use the
distribution's own units. "Two holders" is the longest time for which both nodes had the address, if it is long enough to be
detected (25 ms).`

const aboutRelease = `The same on this release, for hapair's pairs: what is at stake most often, %d times each.`

// row is a fault of the bench.
type row struct {
	fault.Fault
	rank rank
	ours bool // only hapair supports it
}

// rank determines on which pairs a fault is measured.
type rank int

const (
	rest    rank = iota
	planned      // on the first release, with each advert_int
	core         // also on the other releases
)

// faults returns the rows of the page, with their titles.
func faults() []row {
	titled := func(f fault.Fault, title string) fault.Fault {
		f.Title = title
		return f
	}
	list := []row{{Fault: fault.Maintenance(), rank: core, ours: true}, {Fault: fault.HAProxyKilled()}, {Fault: fault.KeepalivedKilled()}}
	for _, f := range cluster.Faults() {
		switch f.Name {
		case fault.HAProxyDead().Name:
			list = append(list, row{Fault: titled(f, "haproxy dead"), rank: core})
		case fault.HAProxyStuck().Name:
			list = append(list, row{Fault: titled(f, "haproxy stuck"), rank: core})
		case fault.PowerCut().Name:
			list = append(list, row{Fault: titled(f, "power cut"), rank: core})
		case fault.KeepalivedStopped().Name, fault.Reboot().Name:
			list = append(list, row{Fault: f, rank: planned})
		default:
			list = append(list, row{Fault: f})
		}
	}
	slices.SortStableFunc(list, func(a, b row) int { return cmp.Compare(b.rank, a.rank) })
	return list
}

// tries returns how often a fault strikes a pair. A fault of a pair that is made by hand takes seconds each time.
func (w way) tries(f row) int {
	switch {
	case w.byHand != "":
		return (*tries + 6) / 7
	case f.rank == rest:
		return (*tries + 2) / 3
	}
	return *tries
}

// least returns the minimum rank of faults for a pair.
func (w way) least(firstRelease bool) rank {
	switch {
	case !firstRelease:
		return core
	case w.fast:
		return planned
	}
	return rest
}

// BenchmarkFaults measures the effect of each fault on a client: for hapair's pairs on every release, and on the first
// release also for the other pairs.
func BenchmarkFaults(b *testing.B) {
	bake := cluster.Build(b, spec("250ms"))
	for i, release := range cluster.Releases(b, "trixie", "bookworm") {
		b.Run(release, func(b *testing.B) {
			image := bake.Image(b, release)
			about := fmt.Sprintf(aboutFaults, *tries, hapair().tries(row{}), ways()[0].tries(row{}), never.Seconds())
			if i > 0 {
				about = fmt.Sprintf(aboutRelease, *tries)
			}
			table := found.table(Table{Name: "faults-" + release, Title: "What a fault costs a client, on " + release, Unit: "ms", What: "fault",
				Columns: columns(i == 0), About: about})
			for _, w := range ways() {
				if i > 0 && w.byHand != "" {
					continue
				}
				b.Run(w.name, func(b *testing.B) {
					p := bootPair(b, bake, release, image, w)
					for _, f := range faults() {
						if f.ours && w.byHand != "" || f.rank < w.least(i == 0) {
							continue
						}
						b.Run(f.Title, func(b *testing.B) {
							s := p.suffer(b, f)
							tell("%s, %s, %s: %s ms", release, w.name, f.Title, cell(s))
							s.report(b, "ms")
							table.add(f.Title, w.name, s)
						})
					}
				})
			}
		})
	}
}

// columns returns the columns in their order in the table, which is not the order of measurement.
func columns(firstRelease bool) []string {
	var ours, theirs []string
	for _, w := range ways() {
		switch {
		case w.byHand == "":
			ours = append(ours, w.name)
		case firstRelease:
			theirs = append(theirs, w.name)
		}
	}
	return append(ours, theirs...)
}

// never is how long the bench waits for the VIP to be served again.
const never = 25 * time.Second

// granularity is how late this process may learn that an address was added or removed, because it shares the processors with
// both nodes.
const granularity = 25 * time.Millisecond

// suffer strikes the holder with a fault repeatedly.
func (p *pair) suffer(b *testing.B, f row) Sample {
	b.Helper()
	var s Sample
	var both time.Duration
	lasting, capped := false, 0
	for range p.way.tries(f) {
		seen, err := p.strike(b.Context(), f)
		if err != nil {
			b.Error(err)
			for _, h := range p.Nodes {
				b.Logf("%s:\n%s", h.Name, h.Logs(b.Context(), 40))
			}
			break
		}
		s.Values = append(s.Values, milliseconds(seen.gap))
		both, lasting = max(both, seen.both), lasting || seen.lasting
		if seen.gap >= never {
			if capped++; capped == 3 {
				break
			}
		}
	}
	s.AtLeast = s.Median() >= milliseconds(never)
	switch {
	case lasting:
		s.Note = "two holders until it is repaired"
	case both > granularity:
		s.Note = fmt.Sprintf("two holders for %s", number(milliseconds(both)))
	}
	return s
}

// seen is the result of one strike of a fault.
type seen struct {
	gap     time.Duration // the longest time without an answer
	both    time.Duration // how long there were two holders
	lasting bool          // whether there were still two holders when the VIP was served again
}

// strike strikes once with a fault.
func (p *pair) strike(ctx context.Context, f row) (out seen, err error) {
	holder, err := p.settle(ctx)
	if err != nil {
		return out, fmt.Errorf("before %s: %w", f.Title, err)
	}
	watch := p.Client.WatchFresh(ctx, url, 5*time.Millisecond, 500*time.Millisecond)
	defer watch.Stop()
	lead := time.NewTimer(200*time.Millisecond + rand.N(300*time.Millisecond)) // random relative to all timers
	<-lead.C
	watch.Reset()
	began := time.Now()
	if err := f.Strike(ctx, holder); err != nil {
		return out, err
	}
	p.servedAgain(ctx, watch)
	out.gap = min(watch.Stop().Longest.Duration(), never)
	out.lasting = len(p.Holders.Now()) > 1
	err = f.Repair(ctx, holder)
	out.both = p.Holders.Overlap(began)
	return out, err
}

// servedAgain waits until the nodes have reacted, and a client has got answers regularly for as long as one of its requests
// may take to fail.
func (p *pair) servedAgain(ctx context.Context, w *lab.Watch) {
	const step, steady = 100 * time.Millisecond, 7
	tick := time.NewTicker(step)
	defer tick.Stop()
	began, last, good := time.Now(), w.Report(), 0
	for time.Since(began) < never && (good < steady || time.Since(began) < p.way.notices) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := w.Report()
		if now.Failures == last.Failures && total(now)-total(last) >= 10 { // of the 20 requests sent
			good++
		} else {
			good = 0
		}
		last = now
	}
}

func total(r lab.WatchReport) int {
	n := 0
	for _, count := range r.Answers {
		n += count
	}
	return n
}
