package matrix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

// row is one way to break the pair.
type row struct {
	group string
	name  string
	// harm does the harm on the holder, waits for what becomes of it, and puts right what no program on the node could.
	harm func(ctx context.Context, r *run) error
	// lossless: not one request may be lost, and the VIP stays where it is.
	lossless bool
	// planned: the VIP moves on purpose. Each client may lose the one request that is on its way then, and no other.
	planned bool
	// both is how long both nodes may hold the VIP; 0: not at all.
	both time.Duration
	// gap is how long a client of new connections may go without an answer; 0: it is not judged.
	gap time.Duration
	// before and after are what is done before the clients begin to ask, and when they have ended; nil: nothing.
	before, after func(ctx context.Context, p *pair) error
	// parted: the nodes cannot see each other for a while, and both hold the VIP.
	parted bool
}

// run is a row while it runs.
type run struct {
	*pair
	holder, other *lab.Host // who held the VIP at first, and who did not
	began         time.Time
	said          string // by ha-agent status
	end           string // what is particular about how it ended
	users         []bytesOf
}

// bytesOf is something that the user has saved: it must be found at the end.
type bytesOf struct {
	host *lab.Host
	path string
	sum  string
}

// result is a line of the table.
type result struct {
	row         row
	fresh, kept loss
	holders     string
	said, end   string
}

// loss is what a client saw.
type loss struct {
	asked, lost int
	gap         time.Duration
	last        error
}

func lossOf(w lab.WatchReport) loss {
	l := loss{asked: w.Failures, lost: w.Failures, gap: w.Longest.Duration(), last: w.LastErr}
	for _, n := range w.Answers {
		l.asked += n
	}
	return l
}

func (l loss) String() string {
	return fmt.Sprintf("%d of %d, %d ms", l.lost, l.asked, l.gap.Milliseconds())
}

// watches are clients of one kind, one for each address of the VIP.
type watches []*lab.Watch

// stop ends them and returns what the one saw that it was worst for.
func (w watches) stop() loss {
	var worst loss
	for i, watch := range w {
		l := lossOf(watch.Stop())
		if i == 0 || l.lost > worst.lost || l.lost == worst.lost && l.gap > worst.gap {
			worst = l
		}
	}
	return worst
}

// clients begin to ask, one of each kind for each address of the VIP.
func (p *pair) clients(ctx context.Context) (fresh, kept watches) {
	for _, url := range p.urls {
		fresh = append(fresh, p.Client.WatchFresh(ctx, url, interval, patience))
		kept = append(kept, p.Client.WatchKeptAlive(ctx, url, interval, patience, turns))
	}
	return fresh, kept
}

// How the clients ask. A request that has no answer after patience is lost: a packet that got lost is sent again after a
// second.
const (
	interval = 10 * time.Millisecond
	patience = 900 * time.Millisecond
	turns    = 25 // requests over one connection that is kept alive
)

// granularity is how late the test may be told of an address that came or went: it shares two processors with both nodes.
const granularity = 25 * time.Millisecond

// Limits of what is waited for: generous, because the machine may be busy with other tests.
const (
	rowLimit = 5 * time.Minute
	settled  = 300 * time.Millisecond // how long one holder must stay the only one
)

// row breaks the pair in one way and judges what came of it.
func (p *pair) row(t *testing.T, w row) result {
	ctx, cancel := context.WithTimeout(t.Context(), rowLimit)
	defer cancel()
	r := &run{pair: p}
	if w.after != nil {
		defer func() {
			if err := w.after(ctx, p); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		}()
	}
	if err := w.prepare(ctx, r); err != nil {
		t.Fatalf("before the fault: %v\n%s", err, p.logs(t))
	}
	fresh, kept := p.clients(ctx)
	defer fresh.stop()
	defer kept.stop()
	if err := w.harm(ctx, r); err != nil {
		t.Errorf("%v\n%s", err, p.logs(t))
	}
	soundness := p.sound(ctx)
	if soundness != nil {
		t.Errorf("in the end: %v\n%s", soundness, p.logs(t))
	}
	res := result{row: w, fresh: fresh.stop(), kept: kept.stop(), said: r.said, end: r.end}
	moves, none, both := r.history()
	res.holders = words(moves, none, both)
	for _, wrong := range r.judge(ctx, res, both, moves) {
		t.Error(wrong)
	}
	if t.Failed() {
		res.end = "FAILED"
	}
	if err := p.mend(ctx); err != nil {
		t.Fatalf("cannot put the pair right again: %v\n%s", err, p.logs(t))
	}
	return res
}

// prepare makes the pair ready for the fault.
func (w row) prepare(ctx context.Context, r *run) error {
	if w.before != nil {
		if err := w.before(ctx, r.pair); err != nil {
			return err
		}
	}
	return r.begin(ctx)
}

// begin waits until all is well.
func (r *run) begin(ctx context.Context) error {
	if err := r.serving(ctx); err != nil {
		return err
	}
	if err := r.proven(ctx); err != nil {
		return err
	}
	name, err := r.Holders.WaitOne(ctx, settled)
	if err != nil {
		return err
	}
	for _, h := range r.hosts() {
		if h.Name == name {
			r.holder = h
		} else {
			r.other = h
		}
	}
	r.began = time.Now()
	return nil
}

// judge tells what is not as it must be: besides the end, which sound has seen.
func (r *run) judge(ctx context.Context, res result, both time.Duration, moves int) []string {
	var wrong []string
	if both > max(granularity, res.row.both) && !res.row.parted {
		wrong = append(wrong, fmt.Sprintf("both nodes held the VIP for %v: %v", both, r.Holders.Spans()))
	}
	if res.row.lossless {
		for _, l := range []loss{res.fresh, res.kept} {
			if l.lost > 0 {
				wrong = append(wrong, fmt.Sprintf("%d of %d requests were lost, the last: %v", l.lost, l.asked, l.last))
			}
		}
		if moves > 0 {
			wrong = append(wrong, "the VIP moved")
		}
	}
	for _, l := range []loss{res.fresh, res.kept} {
		if res.row.planned && l.lost > 1 {
			wrong = append(wrong, fmt.Sprintf("%d of %d requests were lost, want 1 at most, the last: %v", l.lost, l.asked, l.last))
		}
	}
	if limit := res.row.gap; limit > 0 && res.fresh.gap > limit {
		wrong = append(wrong, fmt.Sprintf("a client had no answer for %v, want %v at most", res.fresh.gap, limit))
	}
	for _, b := range r.users {
		if err := b.find(ctx); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return wrong
}

// history is how often the VIP moved since the row began, for how long nobody held it, and for how long both did.
func (r *run) history() (moves int, none, both time.Duration) {
	var spans []lab.Span
	now := time.Now()
	for _, s := range r.Holders.Spans() {
		if s.To.IsZero() {
			s.To = now
		}
		if s.To.After(r.began) {
			spans = append(spans, s)
		}
	}
	covered, last := r.began, r.holder.Name
	for _, s := range spans {
		none = max(none, s.From.Sub(covered))
		if s.To.After(covered) {
			covered = s.To
		}
		// One that another host had all the while has not moved: somebody else believed for a moment that it was his.
		within := slices.ContainsFunc(spans, func(o lab.Span) bool { return o.Host != s.Host && !o.From.After(s.From) && !o.To.Before(s.To) })
		if s.Host != last && !within {
			moves++
			last = s.Host
		}
	}
	return moves, none, r.Holders.Overlap(r.began)
}

func words(moves int, none, both time.Duration) string {
	text := "stayed"
	switch {
	case moves == 1:
		text = "moved"
	case moves > 1:
		text = fmt.Sprintf("moved %d times", moves)
	}
	if none >= time.Millisecond {
		text += fmt.Sprintf("; none for %d ms", none.Milliseconds())
	}
	if both >= time.Millisecond {
		text += fmt.Sprintf("; both for %d ms", both.Milliseconds())
	}
	return text
}

// sound waits until no service is down on either node, one of them alone holds the VIP, and a client is answered.
func (p *pair) sound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.serving(ctx); err != nil {
		return err
	}
	// Whoever is still waiting for an answer has one by then, or has given up.
	_, err := p.Holders.WaitOne(ctx, patience+100*time.Millisecond)
	return err
}

// serving waits until no service is down on either node, and a client is answered.
func (p *pair) serving(ctx context.Context) error {
	for _, h := range p.hosts() {
		if err := poll(ctx, func() error { return up(ctx, h) }); err != nil {
			return err
		}
	}
	for _, url := range p.urls {
		if _, err := p.Client.WaitAnswer(ctx, url); err != nil {
			return err
		}
	}
	return nil
}

// up tells what is down on a node.
func up(ctx context.Context, h *lab.Host) error {
	_, err := h.Must(ctx, "sh", "-c", "systemctl is-active haproxy keepalived ha-agent && runuser -u hapair-check -- ha-agent check")
	return err
}

// proven waits until every target of both nodes runs on what is on its disk.
func (p *pair) proven(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, h := range p.hosts() {
		err := poll(ctx, func() error {
			s, err := cluster.Status(ctx, h)
			if err != nil {
				return err
			}
			if !s.Daemon.Running {
				return errors.New("the daemon does not answer: " + s.Daemon.Why)
			}
			for _, t := range s.Targets {
				if t.Generation == 0 || slices.ContainsFunc(t.Files, func(f control.File) bool { return f.State != "good" }) {
					return fmt.Errorf("%s: %s does not run on what is on its disk: %+v", h.Name, t.Name, t)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
