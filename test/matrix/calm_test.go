package matrix

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

func calmRows() []row {
	return inGroup("Nothing that is broken", []row{
		{name: "all processors busy for 15 s", lossless: true, harm: busy},
		{name: "the other node paused for 5 s", lossless: true, before: secondHolds, harm: otherPaused},
		{name: "the holder paused for 3 s", parted: true, harm: holderPaused},
		{name: "the clock of each node, an hour ahead, set right, an hour back, right, and an hour ahead", lossless: true,
			before: fakeClocks, harm: clocksJump, after: trueClocks},
	})
}

// busy has programs without end run on the holder, three for each processor. Both nodes, the clients and the servers share
// the processors.
func busy(ctx context.Context, r *run) error {
	n := 3 * runtime.NumCPU()
	stop, err := cluster.Burn(ctx, r.holder, n)
	if err != nil {
		return err
	}
	rest := time.After(15 * time.Second)
	err = r.told(ctx, state)
	<-rest
	r.end = fmt.Sprintf("as before, beside %d programs that never rest", n)
	return errors.Join(err, stop(ctx))
}

// atOnce is how soon one of two holders has to let go: they hear of each other within an advertisement.
func (r *run) atOnce() (time.Duration, error) {
	file := keepalived.Read([]byte(r.original[r.holder.Name][keepalivedConf]))
	for _, i := range file.Instances {
		return i.AdvertInt + granularity, nil
	}
	return 0, errors.New("keepalived.conf has no instance")
}

// resume lets a paused node go on, and tells who holds the VIP in the end, and for how long two did. All the while a client
// is served.
func (r *run) resume(ctx context.Context, h *lab.Host) (holder string, err error) {
	limit, err := r.atOnce()
	watch, kept := r.clients(ctx)
	defer watch.stop()
	defer kept.stop()
	resumed := time.Now()
	if err = errors.Join(err, h.Resume()); err != nil {
		return "", err
	}
	if holder, err = r.Holders.WaitOne(ctx, 2*time.Second); err != nil {
		return "", err
	}
	both := r.Holders.Overlap(resumed)
	if both > limit {
		return holder, fmt.Errorf("both nodes held the VIP for %v after %s went on: %v", both, h.Name, r.Holders.Spans())
	}
	if gap := watch.stop().gap; gap > patience {
		return holder, fmt.Errorf("after %s went on no client was served for %v", h.Name, gap)
	}
	r.end = fmt.Sprintf("one holder %d ms after it went on: ", both.Milliseconds())
	if holder == h.Name {
		r.end += "the one that was paused"
	} else {
		r.end += "the one that was not"
	}
	return holder, r.told(ctx, state)
}

// secondHolds has the first node give the VIP away: whoever comes back then has the higher priority of both.
func secondHolds(ctx context.Context, p *pair) error {
	first, second := p.hosts()[0], p.hosts()[1]
	if err := sh(ctx, first, "ha-agent maintenance on"); err != nil {
		return err
	}
	return errors.Join(p.Holders.WaitHolder(ctx, second.Name, settled), sh(ctx, first, "ha-agent maintenance off"))
}

// otherPaused lets the other node go on long after it has heard its last advertisement. It believes that nobody holds the
// VIP, as RFC 9568 (6.4.2) has it, and takes it; the holder advertises with a bonus and keeps it.
func otherPaused(ctx context.Context, r *run) error {
	if err := r.other.Pause(); err != nil {
		return err
	}
	<-time.After(5 * time.Second)
	holder, err := r.resume(ctx, r.other)
	if err == nil && holder != r.holder.Name {
		err = fmt.Errorf("%s took the VIP from its holder", holder)
	}
	return err
}

// holderPaused has the other node take over. The one that is paused does not let go of the address before it goes on, but
// nothing reaches it there.
func holderPaused(ctx context.Context, r *run) error {
	if err := r.holder.Pause(); err != nil {
		return err
	}
	rest := time.After(3 * time.Second)
	err := poll(ctx, func() error { return bothHold(r.Holders) })
	<-rest
	if err != nil {
		return errors.Join(err, r.holder.Resume())
	}
	holder, err := r.resume(ctx, r.holder)
	if yields := strings.Contains(r.original[r.holder.Name][keepalivedConf], "timer_expired_backup"); err == nil && yields && holder != r.other.Name {
		err = fmt.Errorf("%s took the VIP back", holder)
	}
	return err
}
