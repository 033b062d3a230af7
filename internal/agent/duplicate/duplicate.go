// Package duplicate detects that another machine answers for a virtual IP that this machine holds. Neither VRRP nor the kernel
// report two holders.
package duplicate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
)

// Watch asks the link about each virtual IP that this machine holds, when it begins to hold it and every Interval, as far as
// Look says that it is time.
type Watch struct {
	VIPs     []config.VIP
	Interval time.Duration
	Held     func() ([]vip.Held, error) // the kernel's addresses
	Ask      func(ctx context.Context, iface string, addr netip.Addr) ([]net.HardwareAddr, error)
	Log      *slog.Logger
	// Contain calls f, which runs on a goroutine of its own, and keeps a panic in it from ending the process; nil: it is called.
	Contain func(part string, f func())

	// Look has a value when it is time to ask the kernel what is held: something may have come or gone, or be due.
	Look chan struct{}

	mu    sync.Mutex
	found map[vip.Held]finding
}

// finding is the result of the last question.
type finding struct {
	asked  time.Time
	others []string // hardware addresses, in order
	err    error
}

// Limits of the questions.
const (
	answerTime = 300 * time.Millisecond // for all answers to one question
	atOnce     = 8                      // questions
	early      = 500 * time.Millisecond // how much earlier than Interval a question may be sent, because Look comes in intervals of about Interval
)

// DefaultInterval is the time between two questions of a holder.
const DefaultInterval = 5 * time.Second

// Run asks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for {
		w.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-w.Look:
		}
	}
}

// Others returns the hardware addresses of the other machines that answer for an address; nil if there are none or the address
// is not held here. The error is the reason why the question could not be sent.
func (w *Watch) Others(held vip.Held) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.found[held]
	return slices.Clone(f.others), f.err
}

// round asks about the addresses that are due, and removes those that are no longer held.
func (w *Watch) round(ctx context.Context) {
	all, err := w.Held()
	if err != nil {
		w.Log.Warn("cannot look for other holders", "error", err)
		return
	}
	held := map[vip.Held]bool{}
	for _, v := range w.VIPs {
		for _, h := range all {
			if slices.ContainsFunc(v.Addresses, func(p netip.Prefix) bool { return p.Addr() == h.Address }) && (v.Interface == "" || v.Interface == h.Interface) {
				held[h] = true
			}
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, atOnce)
	contain := w.Contain
	if contain == nil {
		contain = func(_ string, f func()) { f() }
	}
	for _, h := range w.due(held) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			contain("the search for other holders", func() {
				f := w.ask(ctx, h)
				if ctx.Err() == nil {
					w.note(h, f)
				}
			})
		})
	}
}

// due returns the held addresses that were not asked about for an interval.
func (w *Watch) due(held map[vip.Held]bool) []vip.Held {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range w.found {
		if !held[h] {
			delete(w.found, h)
		}
	}
	var due []vip.Held
	for h := range held {
		if f, ok := w.found[h]; !ok || time.Since(f.asked) >= w.Interval-early {
			due = append(due, h)
		}
	}
	return due
}

// ask asks twice before it reports another machine, because one that has just released the address may still answer.
func (w *Watch) ask(ctx context.Context, h vip.Held) finding {
	f := finding{asked: time.Now()}
	for range 2 {
		actx, cancel := context.WithTimeout(ctx, answerTime)
		who, err := w.Ask(actx, h.Interface, h.Address)
		cancel()
		f.others, f.err = nil, err
		if err != nil || len(who) == 0 {
			return f
		}
		for _, a := range who {
			f.others = append(f.others, a.String())
		}
		slices.Sort(f.others)
	}
	return f
}

// note stores a finding, and logs it if it is new.
func (w *Watch) note(h vip.Held, f finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.found[h]
	switch {
	case f.err != nil:
		if fmt.Sprint(f.err) != fmt.Sprint(before.err) {
			w.Log.Warn("cannot look for other holders", "address", h.Address, "error", f.err)
		}
		f.others = before.others // not to know is no news of them
	case slices.Equal(f.others, before.others):
	case len(f.others) > 0:
		w.Log.Error("another machine answers for a virtual IP that this one holds", "address", h.Address, "interface", h.Interface,
			"hardware_address", strings.Join(f.others, " "))
	default:
		w.Log.Info("no other machine answers any more", "address", h.Address, "interface", h.Interface)
	}
	if w.found == nil {
		w.found = map[vip.Held]finding{}
	}
	w.found[h] = f
}
