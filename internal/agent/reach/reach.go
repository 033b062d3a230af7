// Package reach helps two nodes to find each other soon after a link was cut. VRRP is sent to the peers' own addresses. After
// some time without an answer the kernel drops their hardware addresses, and asks for them only once a second: until it has
// them again, two holders do not hear each other.
package reach

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/neighbor"
)

// Watch asks for the peers whose hardware addresses the kernel does not know, while this node holds virtual IPs.
type Watch struct {
	Peers []netip.Addr
	VIPs  []netip.Addr // never the source of a question: the neighbours of the other holder would learn this machine's hardware address for them
	// Holding returns for how long this node has been MASTER of some instance; false: it is not.
	Holding    func() (time.Duration, bool)
	Unresolved func([]netip.Addr) ([]neighbor.Entry, error)
	Greet      func(to neighbor.Entry, from netip.Addr) error
	Log        *slog.Logger

	// Look has a value when the neighbours must be checked.
	Look chan struct{}

	told string // the last error
}

// Intervals of the checks and questions.
const (
	every = 200 * time.Millisecond // between two questions for one peer
	soon  = 2 * time.Second        // between two checks, after this node has become MASTER
	fresh = 30 * time.Second       // how long a node counts as new MASTER. The kernel usually drops an absent peer within this time
)

// Run asks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for {
		var again <-chan time.Time
		if wait := w.round(); wait > 0 {
			again = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.Look:
		case <-again:
		}
	}
}

// round checks once, and returns the time until the next check; 0: when Look has a value.
func (w *Watch) round() time.Duration {
	held, holding := w.Holding()
	if !holding || len(w.Peers) == 0 {
		return 0
	}
	lost, err := w.Unresolved(w.Peers)
	asked := 0
	for _, e := range lost {
		from, askErr := w.source(e)
		if askErr == nil && from.IsValid() {
			askErr = w.Greet(e, from)
			asked++
		}
		if err == nil {
			err = askErr
		}
	}
	if now := fmt.Sprint(err); now != w.told {
		if w.told = now; err != nil {
			w.Log.Warn("cannot look for the peers", "error", err)
		}
	}
	switch {
	case asked > 0 && err == nil:
		return every
	case held < fresh:
		return soon
	}
	return 0
}

// source returns this machine's address in the network of a peer; the zero Addr if there is none.
func (w *Watch) source(e neighbor.Entry) (netip.Addr, error) {
	link, err := net.InterfaceByName(e.Interface)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot find the interface %s: %w", e.Interface, err)
	}
	addrs, err := link.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot list the addresses of %s: %w", e.Interface, err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Contains(e.Address) && p.Addr() != e.Address && !slices.Contains(w.VIPs, p.Addr()) {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, nil
}
