package agent

import (
	"context"
	"net/http"
	"sync"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/metrics"
	"github.com/hapair/hapair/internal/agent/store"
)

// serveMetrics answers Prometheus until ctx ends, if the configuration has an address for it.
func (d *Daemon) serveMetrics(ctx context.Context) {
	m := d.Conf.Metrics
	if m == nil {
		return
	}
	count := &tally{store: store.At(d.Paths.Store)}
	s := &metrics.Server{Address: m.Address, Allow: m.Allow, Log: d.Log, Collect: func(ctx context.Context) (page metrics.Snapshot) {
		err := d.panics.Contain("the metrics", func() error {
			page = metrics.Snapshot{Status: d.observer.Observe(ctx), Changes: count.changes(), Process: metrics.Self()}
			return nil
		})
		if err != nil {
			panic(http.ErrAbortHandler) // it was logged; the client gets no answer
		}
		return page
	}}
	s.Run(ctx)
}

// tally counts changes by their verdicts. Counts survive the truncation of the journal.
type tally struct {
	store *store.Store

	mu     sync.Mutex
	last   int // the number of the last change that was counted
	counts map[journal.Verdict]int
}

// changes returns the counts, including the changes since the last call.
func (t *tally) changes() map[journal.Verdict]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[journal.Verdict]int{}
	}
	all, _ := t.store.Changes() // changes that cannot be read now are counted later
	for _, c := range all {
		if c.Number > t.last {
			t.counts[c.Verdict]++
			t.last = c.Number
		}
	}
	counts := map[journal.Verdict]int{}
	for v, n := range t.counts {
		counts[v] = n
	}
	return counts
}
