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

// row is a fault of the pair.
type row struct {
	group string
	name  string
	// harm causes the fault on the holder, waits for its effect, and repairs what programs on the node cannot repair.
	harm func(ctx context.Context, r *run) error
	// lossless means that no request may be lost, and the VIP must not move.
	lossless bool
	// planned means that the VIP moves on purpose. Each client may lose only the one request that is in progress.
	planned bool
	// both is how long both nodes may hold the VIP; 0 means not at all.
	both time.Duration
	// gap is how long a client with new connections may get no answer; 0 means that it is not checked.
	gap time.Duration
	// before and after are called before the clients start and after they have stopped. They may be nil.
	before, after func(ctx context.Context, p *pair) error
	// parted means that the nodes cannot see each other for a while, and that both hold the VIP.
	parted bool
}

// run is a row that is being tested.
type run struct {
	*pair
	holder, other *lab.Host // who held the VIP at the beginning, and who did not
	began         time.Time
	said          string // from ha-agent status
	end           string // a description of how it ended
	users         []bytesOf
}

// bytesOf is a file that the user has saved, which must exist at the end.
type bytesOf struct {
	host *lab.Host
	path string
	sum  string
}

// result is a line of the table.
type result struct {
	row         row
	fresh, kept cluster.Loss
	holders     string
	said, end   string
}

// watches are clients of one kind, one for each address of the VIP.
type watches []*lab.Watch

// stop stops the clients, and returns the result of the one that was worst affected.
func (w watches) stop() cluster.Loss {
	var worst cluster.Loss
	for i, watch := range w {
		l := cluster.LossOf(watch.Stop())
		if i == 0 || l.Lost > worst.Lost || l.Lost == worst.Lost && l.Gap > worst.Gap {
			worst = l
		}
	}
	return worst
}

// clients starts the clients, one of each kind for each address of the VIP.
func (p *pair) clients(ctx context.Context) (fresh, kept watches) {
	for _, url := range p.urls {
		fresh = append(fresh, p.Client.WatchFresh(ctx, url, interval, patience))
		kept = append(kept, p.Client.WatchKeptAlive(ctx, url, interval, patience, turns))
	}
	return fresh, kept
}

// Parameters of the clients. A request without an answer within patience is lost. A lost packet is only sent again after a
// second.
const (
	interval = 10 * time.Millisecond
	patience = 900 * time.Millisecond
	turns    = 25 // requests over one kept-alive connection
)

// granularity is how late the test may learn that an address was added or removed, because it shares two processors with
// both nodes.
const granularity = 25 * time.Millisecond

// Time limits. They are generous, because other tests may use the machine.
const (
	rowLimit = 5 * time.Minute
	settled  = 300 * time.Millisecond // how long there must be exactly one holder
)

// row causes one fault of the pair, and judges the result.
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
		t.Errorf("at the end: %v\n%s", soundness, p.logs(t))
	}
	res := result{row: w, fresh: fresh.stop(), kept: kept.stop(), said: r.said, end: r.end}
	moves := cluster.MovesOf(r.Holders, r.began, r.holder.Name)
	res.holders = moves.String()
	for _, wrong := range r.judge(ctx, res, moves) {
		t.Error(wrong)
	}
	if t.Failed() {
		res.end = "FAILED"
	}
	if err := p.mend(ctx); err != nil {
		t.Fatalf("cannot repair the pair: %v\n%s", err, p.logs(t))
	}
	return res
}

// prepare prepares the pair for the fault.
func (w row) prepare(ctx context.Context, r *run) error {
	if w.before != nil {
		// The row before may have left files whose change is under way.
		err := r.proven(ctx)
		if err == nil {
			err = w.before(ctx, r.pair)
		}
		if err != nil {
			return err
		}
	}
	return r.begin(ctx)
}

// begin waits until the pair is healthy.
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

// judge returns the problems, except for those of the final state, which sound checks.
func (r *run) judge(ctx context.Context, res result, moves cluster.Moves) []string {
	var wrong []string
	if both := moves.Both; both > max(granularity, res.row.both) && !res.row.parted {
		wrong = append(wrong, fmt.Sprintf("both nodes held the VIP for %v: %v", both, r.Holders.Spans()))
	}
	if res.row.lossless {
		for _, l := range []cluster.Loss{res.fresh, res.kept} {
			if l.Lost > 0 {
				wrong = append(wrong, fmt.Sprintf("%d of %d requests were lost, the last: %v", l.Lost, l.Asked, l.Last))
			}
		}
		if moves.Count > 0 {
			wrong = append(wrong, "the VIP moved")
		}
	}
	for _, l := range []cluster.Loss{res.fresh, res.kept} {
		if res.row.planned && l.Lost > 1 {
			wrong = append(wrong, fmt.Sprintf("%d of %d requests were lost, want at most 1, the last: %v", l.Lost, l.Asked, l.Last))
		}
	}
	if limit := res.row.gap; limit > 0 && res.fresh.Gap > limit {
		wrong = append(wrong, fmt.Sprintf("a client had no answer for %v, want at most %v", res.fresh.Gap, limit))
	}
	for _, b := range r.users {
		if err := b.find(ctx); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return wrong
}

// sound waits until all services of both nodes run, exactly one of them holds the VIP, and a client gets answers.
func (p *pair) sound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.serving(ctx); err != nil {
		return err
	}
	// After this time, every open request has an answer or has failed.
	_, err := p.Holders.WaitOne(ctx, patience+100*time.Millisecond)
	return err
}

// serving waits until all services of both nodes run, and a client gets answers.
func (p *pair) serving(ctx context.Context) error {
	for _, h := range p.hosts() {
		if err := await(ctx, func() error { return up(ctx, h) }); err != nil {
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

// up returns an error if a service of a node does not run.
func up(ctx context.Context, h *lab.Host) error {
	_, err := h.Must(ctx, "sh", "-c", "systemctl is-active haproxy keepalived ha-agent && runuser -u hapair-check -- ha-agent check")
	return err
}

// proven waits until every target of both nodes runs the files on the disk.
func (p *pair) proven(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, h := range p.hosts() {
		err := await(ctx, func() error {
			s, err := cluster.Status(ctx, h)
			if err != nil {
				return err
			}
			if !s.Daemon.Running {
				return errors.New("the daemon does not answer: " + s.Daemon.Why)
			}
			for _, t := range s.Targets {
				if t.Generation == 0 || slices.ContainsFunc(t.Files, func(f control.File) bool { return f.State != "good" }) {
					return fmt.Errorf("%s: %s does not run the files on the disk: %+v", h.Name, t.Name, t)
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
