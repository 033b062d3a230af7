package drill

import (
	"slices"
	"sync"
	"time"
)

// Live is the current state of a drill.
type Live struct {
	Doing string // the current activity; empty if there is none
	Since time.Time
	Why   []string // what the drill has been waiting for
	Nodes []LiveNode
	VIPs  []LiveVIP
}

// LiveNode is the state of a node.
type LiveNode struct {
	Name  string
	State string   // on, off, or the effect of the fault
	Holds []string // VIPs
	Rate  float64  // answers per second to the clients of the VIPs that only this node holds
	Gap   Millis   // time since the last answer to the client that waits longest; 0 if the node holds no VIP
}

// LiveVIP is a VIP that does not have exactly one holder.
type LiveVIP struct {
	Name    string
	Holders []string
	Gap     Millis
}

// liveInterval is the interval at which the state is shown.
const liveInterval = 100 * time.Millisecond

// live shows the current state periodically.
type live struct {
	done chan struct{}
	quit chan struct{}

	mu     sync.Mutex
	doing  string
	struck string
	since  time.Time
	why    []string
}

func startLive(c *Cluster) *live {
	l := &live{done: make(chan struct{}), quit: make(chan struct{}), since: time.Now()}
	go func() {
		defer close(l.done)
		if c.Live == nil {
			return
		}
		tick := time.NewTicker(liveInterval)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				c.Live(c.look(l, now))
			case <-l.quit:
				return
			}
		}
	}()
	return l
}

func (l *live) stop() {
	if l != nil {
		close(l.quit)
		<-l.done
	}
}

// now sets the current activity and the node that it affects.
func (l *live) now(doing, struck string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doing, l.struck, l.since, l.why = doing, struck, time.Now(), nil
}

// because sets the reasons why the drill waits.
func (l *live) because(why []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
}

// look collects the current state.
func (c *Cluster) look(l *live, now time.Time) Live {
	l.mu.Lock()
	out := Live{Doing: l.doing, Since: l.since, Why: l.why}
	struck := l.struck
	l.mu.Unlock()
	for _, h := range c.hosts {
		n := LiveNode{Name: h.Name, State: "on"}
		switch {
		case !h.On():
			n.State = "off"
		case h.Name == struck:
			n.State = "struck"
		}
		for _, t := range c.targets {
			holders := t.holders.Now()
			if !slices.Contains(holders, h.Name) {
				continue
			}
			n.Holds = append(n.Holds, t.name)
			rate, gap := t.pace(now)
			n.Gap = max(n.Gap, gap)
			if len(holders) == 1 {
				n.Rate += rate
			}
		}
		out.Nodes = append(out.Nodes, n)
	}
	for _, t := range c.targets {
		if holders := t.holders.Now(); len(holders) != 1 {
			_, gap := t.pace(now)
			out.VIPs = append(out.VIPs, LiveVIP{t.name, holders, gap})
		}
	}
	return out
}

// pace returns how many answers per second a client gets, and the time since the last answer.
func (t *watched) pace(now time.Time) (rate float64, gap Millis) {
	if t.watch == nil {
		return 0, 0
	}
	const over = 500 * time.Millisecond
	answers, _ := t.watch.seen(now.Add(-over))
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	if n := len(t.watch.answers); n > 0 {
		gap = max(0, millis(now.Sub(t.watch.answers[n-1])))
	}
	return float64(len(answers)) / over.Seconds(), gap
}

// after returns the times from since on.
func after(times []time.Time, since time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return t.Before(since) })
}
