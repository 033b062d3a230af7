package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/health"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/neighbor"
	"github.com/hapair/hapair/internal/regular"
)

// maintainer takes this node out of service and back.
type maintainer struct {
	mark      string
	conf      string // keepalived.conf
	vips      []config.VIP
	peers     []config.Peer
	give      func(why error) error // has keepalived give the VIPs away; with nil it may have them back
	addresses func() ([]vip.Held, error)
	networks  func() ([]network, error)
	ask       func(ctx context.Context, iface string, addr netip.Addr) ([]net.HardwareAddr, error)
	now       func() time.Time
	log       *slog.Logger

	mu sync.Mutex // one at a time
}

// network is what this machine is linked to by an interface.
type network struct {
	Interface string
	Prefix    netip.Prefix
}

// networks are those of this machine's addresses.
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

// askTimeout is how long one question to the link waits for answers.
const askTimeout = 150 * time.Millisecond

// errForce ends what is said to an operator whom nobody would relieve.
var errForce = errors.New("`ha-agent maintenance on --force` goes on all the same, and the virtual IPs have no holder then")

// on takes the node out of service: first the VIPs go to a peer, then the mark is made. Where nobody takes them they come
// back, unless force.
func (m *maintainer) on(ctx context.Context, req control.MaintenanceRequest) (control.Maintenance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mark := maintenance.New(m.now(), req.For)
	done := control.Maintenance{On: true, Until: mark.Until}
	if old, _ := maintenance.Read(m.mark); old != nil { // only its end is another one
		return done, maintenance.Set(m.mark, mark)
	}
	if !req.Force {
		if err := m.alone(ctx); err != nil {
			return control.Maintenance{Refused: fmt.Sprintf("%v: the virtual IPs stay here; %v", err, errForce)}, nil
		}
	}
	if err := m.give(health.ErrMaintenance); err != nil {
		return control.Maintenance{}, err
	}
	err := m.given(ctx, req.Force)
	if err == nil || (req.Force && ctx.Err() == nil) {
		if err := maintenance.Set(m.mark, mark); err != nil {
			return control.Maintenance{}, errors.Join(err, m.give(nil))
		}
		m.log.Warn("maintenance begins", "until", mark.Until)
		if err != nil {
			done.Note = err.Error()
		}
		return done, m.give(nil) // from here on it is the mark that speaks
	}
	if back := m.give(nil); back != nil {
		return control.Maintenance{}, back
	}
	if ctx.Err() != nil {
		return control.Maintenance{}, errors.New("cannot go into maintenance: the agent ends; the virtual IPs are taken back")
	}
	m.log.Error("maintenance refused", "reason", err)
	return control.Maintenance{Refused: fmt.Sprintf("%v: this node takes the virtual IPs back; %v", err, errForce)}, nil
}

// off brings the node back. It returns whether the node was in maintenance.
func (m *maintainer) off() (was bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, statErr := os.Lstat(m.mark)
	if err := maintenance.Clear(m.mark); err != nil {
		return statErr == nil, err
	}
	if statErr == nil {
		m.log.Warn("maintenance ends")
	}
	return statErr == nil, m.give(nil)
}

// patience is how long a peer may take: three advertisements, by which it knows that this node is gone even if nothing is
// said, and a second.
func (m *maintainer) patience() time.Duration {
	longest := time.Duration(0)
	if b, err := regular.ReadFile(m.conf, regular.MaxConfig); err == nil {
		for _, in := range keepalived.Read(b).Instances {
			longest = max(longest, in.AdvertInt)
		}
	}
	if longest == 0 {
		longest = time.Second
	}
	return 3*longest + time.Second
}

// alone tells that no peer is there to take over, as far as that can be seen before anything is given away: peers of the
// same network answer for their own addresses. One that is behind a router may take over all the same.
func (m *maintainer) alone(ctx context.Context) error {
	if len(m.vips) == 0 {
		return nil
	}
	links, err := m.networks()
	if err != nil {
		return err
	}
	var silent []string
	for _, p := range m.peers {
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

// answers tells whether a machine has an address, and whether this one is linked to its network at all.
func (m *maintainer) answers(ctx context.Context, links []network, a netip.Addr) (there, near bool) {
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

// asked tells why nobody else has an address, or nil.
func (m *maintainer) asked(ctx context.Context, iface string, a netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	who, err := m.ask(ctx, iface, a)
	if err == nil && len(who) == 0 {
		err = fmt.Errorf("no peer answers for %v on %s", a, iface)
	}
	return err
}

// given waits until this node holds no VIP, and until another one answers for each of them, unless nobody need.
func (m *maintainer) given(ctx context.Context, nobody bool) error {
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		held, err := m.addresses()
		if err != nil {
			return false, err
		}
		for _, v := range m.vips {
			on, missing := vip.Of(v, held)
			if len(on) > 0 {
				return false, fmt.Errorf("keepalived does not let go of %v", on[0])
			}
			for _, a := range missing {
				if nobody {
					continue
				}
				if err := m.asked(ctx, v.Interface, a); err != nil {
					return false, err
				}
			}
		}
		return true, nil
	})
}

// expire ends a maintenance whose time is over.
func (m *maintainer) expire() error {
	mark, err := maintenance.Read(m.mark)
	if mark == nil || err != nil {
		return err
	}
	left, ends := mark.Left(m.now())
	if !ends || left > 0 {
		return nil
	}
	_, err = m.off()
	return err
}

func (m *maintainer) answer(ctx context.Context, req control.MaintenanceRequest) (control.Maintenance, error) {
	if req.On {
		return m.on(ctx, req)
	}
	was, err := m.off()
	if err == nil && !was {
		return control.Maintenance{Note: "this node was not in maintenance"}, nil
	}
	return control.Maintenance{}, err
}

// maintainer is that of this machine.
func (d *Daemon) maintainer(give func(why error) error) *maintainer {
	log := d.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &maintainer{
		mark: d.Paths.Mark, conf: d.Conf.Keepalived.Config, vips: d.Conf.VIPs, peers: d.Conf.Peers, give: give,
		addresses: vip.Addresses, networks: networks, ask: neighbor.Ask, now: d.Now, log: log,
	}
}

// Maintain does what a MaintenanceRequest asks for where the daemon is dead.
func (d *Daemon) Maintain(ctx context.Context, req control.MaintenanceRequest) (control.Maintenance, error) {
	m := d.maintainer(func(why error) error {
		word := "0\n"
		if _, err := os.Lstat(d.Paths.Mark); why != nil || err == nil {
			word = "1\n"
		}
		if err := writeTrack(d.Conf.Keepalived.TrackFile, word); err != nil {
			return fmt.Errorf("cannot tell keepalived: %w", err)
		}
		return nil
	})
	done, err := m.answer(ctx, req)
	if err == nil && done.On && req.For > 0 {
		done.Note = "the agent's daemon does not run: until it does, nobody ends the maintenance when its time is over"
	}
	return done, err
}
