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
		{name: "the other node paused for 5 s", planned: true, before: secondHolds, harm: otherPaused},
		{name: "the holder paused for 3 s", parted: true, harm: holderPaused},
		{name: "the clock of each node, an hour ahead, set right, an hour back, right, and an hour ahead", lossless: true,
			before: fakeClocks, harm: clocksJump, after: trueClocks},
	})
}

// busy runs endless programs on the holder, three for each processor. Both nodes, the clients and the servers share the
// processors.
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

// atOnce is the time after which one of two holders must have given up the VIP: they receive each other's advertisement
// within one interval, and on a busy machine one may come late.
func (r *run) atOnce() (time.Duration, error) {
	file := keepalived.Read([]byte(r.original[r.holder.Name][keepalivedConf]))
	for _, i := range file.Instances {
		return 2*i.AdvertInt + granularity, nil
	}
	return 0, errors.New("keepalived.conf has no instance")
}

// resume resumes a paused node, and returns who holds the VIP at the end. It checks how long there were two holders, and
// that a client was served all the time.
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
	if gap := watch.stop().Gap; gap > patience {
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

// secondHolds makes the first node give up the VIP. When the first node returns, it has the higher priority.
func secondHolds(ctx context.Context, p *pair) error {
	first, second := p.hosts()[0], p.hosts()[1]
	if err := sh(ctx, first, "ha-agent maintenance on"); err != nil {
		return err
	}
	return errors.Join(p.Holders.WaitHolder(ctx, second.Name, settled), sh(ctx, first, "ha-agent maintenance off"))
}

// otherPaused resumes the other node long after it has received the last advertisement. It assumes that the VIP has no
// holder, as RFC 9568 (6.4.2) requires, and takes it. The holder advertises with a bonus and keeps the VIP.
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

// holderPaused makes the other node take over. The paused node keeps the address until it is resumed, but it receives no
// packets.
func holderPaused(ctx context.Context, r *run) error {
	if err := r.holder.Pause(); err != nil {
		return err
	}
	rest := time.After(3 * time.Second)
	err := await(ctx, func() error { return bothHold(r.Holders) })
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
