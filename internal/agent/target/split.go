package target

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
)

// split detects that a change separates this node from its peers. A new virtual_router_id, VRRP version, password or list of
// peers on one node alone is valid, but then the nodes do not hear each other and both hold the VIPs.
type split struct {
	addresses func() ([]vip.Held, error)
	ask       func(ctx context.Context, iface string, addr netip.Addr) ([]net.HardwareAddr, error)
}

// How other machines are asked after a change.
const (
	splitAsk    = 100 * time.Millisecond // time for all answers to one question, which is asked twice
	splitAgain  = 50 * time.Millisecond
	splitMargin = 500 * time.Millisecond // for keepalived to load the file, and to be scheduled
	splitMost   = 25 * time.Second
	splitSlots  = 16 // questions at once
)

// window returns how long after a change a split can appear: a backup takes over after three missing advertisements and its
// skew time, which is less than one interval. The interval is the last one that it received.
func window(files ...keepalived.File) time.Duration {
	longest := time.Duration(0)
	for _, f := range files {
		for _, in := range f.Instances {
			longest = max(longest, in.AdvertInt)
		}
	}
	return min(4*longest+splitMargin, splitMost)
}

// rival is another machine that answers for an address that this one holds.
type rival struct {
	vip.Held
	who net.HardwareAddr
}

func (r rival) Error() string {
	return fmt.Sprintf("another machine (%v) answers for %v, which this node holds on %s since the change: they do not hear each other any more, and both are MASTER; "+
		"virtual_router_id, VRRP version, peers, authentication and advert_int must be the same on all nodes, or be changed while the other nodes are in maintenance",
		r.who, r.Address, r.Interface)
}

// rivals returns the rivals for the addresses of a file that this machine holds, except known ones. A question that cannot be
// sent finds none.
func (s split) rivals(ctx context.Context, file keepalived.File, known map[vip.Held]bool) ([]rival, error) {
	held, err := s.addresses()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var found []rival
	var wg sync.WaitGroup
	slots := make(chan struct{}, splitSlots)
	for _, in := range file.Instances {
		for _, h := range vip.OfInstance(in, held) {
			if known[h] {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if who := s.other(ctx, h); who != nil {
					mu.Lock()
					defer mu.Unlock()
					found = append(found, rival{h, who})
				}
			})
		}
	}
	wg.Wait()
	return found, nil
}

// other returns a machine that answers for an address twice. A machine that has just released the address may still answer
// once.
func (s split) other(ctx context.Context, h vip.Held) net.HardwareAddr {
	var who []net.HardwareAddr
	for range 2 {
		actx, cancel := context.WithTimeout(ctx, splitAsk)
		var err error
		who, err = s.ask(actx, h.Interface, h.Address)
		cancel()
		if err != nil || len(who) == 0 {
			return nil
		}
	}
	return who[0]
}

// before returns the addresses for which another machine already answers: the network is cut, and the change is not the cause.
func (s split) before(ctx context.Context, file keepalived.File) map[vip.Held]bool {
	known := map[vip.Held]bool{}
	found, err := s.rivals(ctx, file, nil)
	if err != nil {
		return known
	}
	for _, r := range found {
		known[r.Held] = true
	}
	return known
}

// watch asks until ctx ends, and returns the first rival that answers repeatedly, or nil. This node must still hold the
// address, because it may have yielded meanwhile.
func (s split) watch(ctx context.Context, file keepalived.File, known map[vip.Held]bool) error {
	tick := time.NewTicker(splitAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		found, err := s.rivals(ctx, file, known)
		if err != nil || len(found) == 0 || ctx.Err() != nil {
			continue
		}
		held, err := s.addresses()
		if err != nil {
			continue
		}
		for _, r := range found {
			for _, h := range held {
				if h == r.Held {
					return r
				}
			}
		}
	}
}
