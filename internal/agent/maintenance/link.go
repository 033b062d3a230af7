package maintenance

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/vip"
)

// network is a network that one of this machine's interfaces is linked to.
type network struct {
	Interface string
	Prefix    netip.Prefix
}

// networks returns the networks of this machine's addresses.
func networks() ([]network, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	var all []network
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && !p.IsSingleIP() && !p.Addr().IsLinkLocalUnicast() {
				all = append(all, network{i.Name, p.Masked()})
			}
		}
	}
	return all, nil
}

// askTimeout is the time limit for the answers to one question on the link.
const askTimeout = 150 * time.Millisecond

// alone returns the reason why no peer can take over, as far as that can be found out before anything is given away: peers in
// the same network answer for their own addresses. A peer behind a router may take over although it does not answer.
func (m *Service) alone(ctx context.Context) error {
	if len(m.VIPs) == 0 {
		return nil
	}
	links, err := m.networks()
	if err != nil {
		return err
	}
	var silent []string
	for _, p := range m.Peers {
		for _, a := range p.Addresses {
			there, near := m.answers(ctx, links, a)
			if there || !near {
				return nil
			}
		}
		silent = append(silent, p.Name)
	}
	return fmt.Errorf("no peer answers (%s)", strings.Join(silent, ", "))
}

// answers reports whether a machine has an address, and whether this machine is linked to the address's network at all.
func (m *Service) answers(ctx context.Context, links []network, a netip.Addr) (there, near bool) {
	for _, l := range links {
		if !l.Prefix.Contains(a) {
			continue
		}
		near = true
		for range 3 {
			if m.asked(ctx, l.Interface, a) == nil {
				return true, true
			}
		}
	}
	return false, near
}

// asked returns the reason why no other machine has an address, or nil.
func (m *Service) asked(ctx context.Context, iface string, a netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	who, err := m.ask(ctx, iface, a)
	if err == nil && len(who) == 0 {
		err = fmt.Errorf("no peer answers for %v on %s", a, iface)
	}
	return err
}

// allAsked returns the reason why some addresses are not all held by other machines, or nil. It asks about several addresses at
// once, because each question takes time.
func (m *Service) allAsked(ctx context.Context, all []vip.Held) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i, h := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = m.asked(ctx, h.Interface, h.Address)
		})
	}
	wg.Wait()
	return cmp.Or(errs...)
}
