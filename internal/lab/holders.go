package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Holders records which hosts of the lab have an address, or one of several addresses that move together. The kernel of each
// network namespace reports every change, so no change is missed.
type Holders struct {
	addrs  []netip.Addr
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{}           // closed and replaced at each change
	now     map[string][]netip.Addr // the addresses that each host has
	spans   []Span                  // ordered by start
}

// Span is a time during which a host had the address. A zero To means that it still has the address.
type Span struct {
	Host     string
	From, To time.Time
}

// Follow starts to record the addresses of the hosts that the lab has now. A host with one of the addresses is a holder.
func (l *Lab) Follow(ctx context.Context, addrs ...netip.Addr) *Holders {
	ctx, cancel := context.WithCancel(ctx)
	f := &Holders{addrs: addrs, cancel: cancel, now: map[string][]netip.Addr{}, changed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hosts {
		f.wg.Go(func() { f.follow(ctx, h) })
	}
	return f
}

// Stop stops the recording.
func (f *Holders) Stop() {
	f.cancel()
	f.wg.Wait()
}

// follow watches one host across its boots.
func (f *Holders) follow(ctx context.Context, h *Host) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := h.running(); err == nil {
			f.followBoot(ctx, h.Name, b)
			for _, a := range f.addrs {
				f.note(h.Name, a, false)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (f *Holders) followBoot(ctx context.Context, host string, b *boot) {
	ns, err := netns.GetFromPath(b.netns())
	if err != nil {
		return // the host has just stopped
	}
	defer ns.Close()
	updates, done := make(chan netlink.AddrUpdate, 64), make(chan struct{})
	defer close(done)
	if err := netlink.AddrSubscribeWithOptions(updates, done, netlink.AddrSubscribeOptions{Namespace: &ns, ListExisting: true}); err != nil {
		return
	}
	for {
		select {
		case u, ok := <-updates:
			if !ok {
				return
			}
			if p, ok := prefixOf(u.LinkAddress); ok && slices.Contains(f.addrs, p.Addr()) {
				f.note(host, p.Addr(), u.NewAddr)
			}
		case <-b.exited:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (f *Holders) note(host string, addr netip.Addr, has bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := len(f.now[host]) > 0
	f.now[host] = slices.DeleteFunc(f.now[host], func(a netip.Addr) bool { return a == addr })
	if has {
		f.now[host] = append(f.now[host], addr)
	}
	holds := len(f.now[host]) > 0
	if held == holds {
		return
	}
	if holds {
		f.spans = append(f.spans, Span{Host: host, From: time.Now()})
	} else {
		for i := range f.spans {
			if f.spans[i].Host == host && f.spans[i].To.IsZero() {
				f.spans[i].To = time.Now()
			}
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// Now returns the hosts that have the address, sorted.
func (f *Holders) Now() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.holders()
}

func (f *Holders) holders() []string {
	var names []string
	for name, has := range f.now {
		if len(has) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Spans returns who had the address, and when.
func (f *Holders) Spans() []Span {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.spans)
}

// Overlap returns the longest time, after since, during which two hosts had the address.
func (f *Holders) Overlap(since time.Time) time.Duration {
	var longest time.Duration
	now := time.Now()
	spans := f.Spans()
	for i, a := range spans {
		for _, b := range spans[i+1:] {
			from, to := latest(a.From, b.From, since), earliest(a.end(now), b.end(now))
			if a.Host != b.Host {
				longest = max(longest, to.Sub(from))
			}
		}
	}
	return longest
}

func (s Span) end(now time.Time) time.Time {
	if s.To.IsZero() {
		return now
	}
	return s.To
}

func latest(ts ...time.Time) time.Time   { return slices.MaxFunc(ts, time.Time.Compare) }
func earliest(ts ...time.Time) time.Time { return slices.MinFunc(ts, time.Time.Compare) }

// WaitOne waits until exactly one host has had the address for the time settled, and returns its name.
func (f *Holders) WaitOne(ctx context.Context, settled time.Duration) (string, error) {
	return f.wait(ctx, settled, func(holders []string) bool { return len(holders) == 1 })
}

// WaitHolder waits until that host, and no other, has had the address for the time settled.
func (f *Holders) WaitHolder(ctx context.Context, host string, settled time.Duration) error {
	_, err := f.wait(ctx, settled, func(holders []string) bool { return slices.Equal(holders, []string{host}) })
	return err
}

func (f *Holders) wait(ctx context.Context, settled time.Duration, good func([]string) bool) (string, error) {
	for {
		f.mu.Lock()
		holders, changed := f.holders(), f.changed
		f.mu.Unlock()
		var quiet <-chan time.Time
		if good(holders) {
			quiet = time.After(settled)
		}
		select {
		case <-quiet:
			return holders[0], nil
		case <-changed:
		case <-ctx.Done():
			return "", errors.Join(fmt.Errorf("the wanted host does not hold %v: it is on %q", f.addrs, holders), ctx.Err())
		}
	}
}
