package agent

import (
	"cmp"
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

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/poll"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/neighbor"
)

// maintainer takes this node out of service and back.
type maintainer struct {
	mark      string
	track     string // the track file, beside which the holder's files lie
	vips      []config.VIP
	peers     []config.Peer
	runs      func() keepalived.File              // the configuration that keepalived runs on
	give      func(why error) error               // has keepalived give the VIPs away; with nil it may have them back
	weaken    func(words map[string]string) error // tells keepalived by instance what weakens it; with nil nothing does
	resign    func(keepalived.Instance) error
	listen    func(keepalived.Instance) (listener, error)
	states    func() map[string]keepalived.State // as keepalived told them; nil: they are not known here
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

// errForce ends a refusal.
var errForce = errors.New("`ha-agent maintenance on --force` goes on all the same, and the virtual IPs have no holder then")

// on takes the node out of service: first a peer takes the VIPs over, then the mark is made. If no peer does they stay, unless
// force.
func (m *maintainer) on(ctx context.Context, req control.MaintenanceRequest) (control.Maintenance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mark := maintenance.New(m.now(), req.For)
	done := control.Maintenance{On: true, Until: mark.Until}
	if old, _ := maintenance.Read(m.mark); old != nil { // only its end is another one
		return done, maintenance.Set(m.mark, mark)
	}
	err := m.alone(ctx)
	if err == nil {
		err = m.handOver(ctx)
	}
	if ctx.Err() != nil {
		return control.Maintenance{}, errors.Join(errors.New("cannot go into maintenance: the agent ends"), m.give(nil), m.weaken(nil))
	}
	if err != nil && !req.Force {
		if back := errors.Join(m.give(nil), m.weaken(nil)); back != nil {
			return control.Maintenance{}, back
		}
		m.log.Error("maintenance refused", "reason", err)
		return control.Maintenance{Refused: fmt.Sprintf("%v: %s; %v", err, m.whereabouts(), errForce)}, nil
	}
	if err := maintenance.Set(m.mark, mark); err != nil {
		return control.Maintenance{}, errors.Join(err, m.give(nil), m.weaken(nil))
	}
	m.log.Warn("maintenance begins", "until", mark.Until)
	if err := errors.Join(m.give(nil), m.weaken(nil)); err != nil { // from here on it is the mark that speaks
		return control.Maintenance{}, err
	}
	if err := m.given(ctx, true); err != nil {
		done.Note = err.Error()
	}
	return done, nil
}

// end takes the mark off. It returns whether the node was in maintenance.
func (m *maintainer) end() (was bool, err error) {
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

// offTime bounds how long off waits. keepalived's script has to find haproxy well twice, a second apart.
const offTime = 15 * time.Second

// off brings the node back, and waits until it can take over.
func (m *maintainer) off(ctx context.Context) (control.Maintenance, error) {
	was, err := m.end()
	switch {
	case err != nil:
		return control.Maintenance{}, err
	case !was:
		return control.Maintenance{Note: "this node was not in maintenance"}, nil
	case m.states == nil:
		return control.Maintenance{Note: "the agent's daemon does not run: it is not known when keepalived can take over again, normally within 3 s"}, nil
	}
	wait, cancel := context.WithTimeout(ctx, offTime)
	defer cancel()
	if err := poll.Until(wait, 20*time.Millisecond, func() (bool, error) { err := m.able(); return err == nil, err }); err != nil {
		return control.Maintenance{Refused: fmt.Sprintf("maintenance is off, but this node cannot take over yet: %v; `ha-agent status` shows why", err)}, nil
	}
	return control.Maintenance{}, nil
}

// able returns why this node cannot hold a VIP, or nil.
func (m *maintainer) able() error {
	states := m.states()
	for _, v := range m.vips {
		for _, name := range v.Instances {
			switch state, told := states[name]; {
			case !told:
				return fmt.Errorf("keepalived has not told the state of %s", name)
			case state != keepalived.Master && state != keepalived.Backup:
				return fmt.Errorf("%s is %s", name, state)
			}
		}
	}
	return nil
}

// patience is how long a peer may take: six advertisements and a second. One that can serve reacts to the first priority-0
// advertisement that no other follows within its skew time.
func (m *maintainer) patience() time.Duration {
	longest := time.Duration(0)
	for _, in := range m.runs().Instances {
		longest = max(longest, in.AdvertInt)
	}
	if longest == 0 {
		longest = time.Second
	}
	return 6*longest + time.Second
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

// given waits until this node holds no VIP, and until another one answers for each of them, unless none need.
func (m *maintainer) given(ctx context.Context, none bool) error {
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	return poll.Until(ctx, 20*time.Millisecond, func() (bool, error) {
		unheld, err := m.unheld()
		if err != nil || none {
			return err == nil, err
		}
		if err := m.allAsked(ctx, unheld); err != nil {
			return false, err
		}
		// The one that answered may have handed its own VIPs over to this node meanwhile: both were put into maintenance at once.
		_, err = m.unheld()
		return err == nil, err
	})
}

// unheld returns the addresses of all VIPs, or an error if this node holds one.
func (m *maintainer) unheld() ([]vip.Held, error) {
	held, err := m.addresses()
	if err != nil {
		return nil, err
	}
	var all []vip.Held
	for _, v := range m.vips {
		on, missing := vip.Of(v, held)
		if len(on) > 0 {
			return nil, fmt.Errorf("keepalived does not let go of %v", on[0])
		}
		for _, a := range missing {
			all = append(all, vip.Held{Interface: v.Interface, Address: a})
		}
	}
	return all, nil
}

// allAsked returns why another machine does not have all of some addresses, or nil. It asks about several at once: each
// question takes its time.
func (m *maintainer) allAsked(ctx context.Context, all []vip.Held) error {
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
	_, err = m.end()
	return err
}

func (m *maintainer) answer(ctx context.Context, req control.MaintenanceRequest) (control.Maintenance, error) {
	if req.On {
		return m.on(ctx, req)
	}
	return m.off(ctx)
}

// maintainer is that of this machine.
func (d *Daemon) maintainer(give func(why error) error) *maintainer {
	log := d.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &maintainer{
		mark: d.Paths.Mark, track: d.Conf.Keepalived.TrackFile, vips: d.Conf.VIPs, peers: d.Conf.Peers, give: give,
		runs:   func() keepalived.File { return target.RunningKeepalived(store.At(d.Paths.Store), d.Conf.Keepalived) },
		resign: advert.Resign, listen: func(in keepalived.Instance) (listener, error) { return advert.Listen(in) },
		addresses: vip.Addresses, networks: networks, ask: neighbor.Ask, now: d.Now, log: log,
	}
}

// Maintain does what a MaintenanceRequest asks for if the daemon is dead.
func (d *Daemon) Maintain(ctx context.Context, req control.MaintenanceRequest) (control.Maintenance, error) {
	m := d.maintainer(func(why error) error {
		word := "0\n"
		if _, err := os.Lstat(d.Paths.Mark); why != nil || err == nil {
			word = "1\n"
		}
		if err := keepalived.WriteTrackFile(d.Conf.Keepalived.TrackFile, word); err != nil {
			return fmt.Errorf("cannot tell keepalived: %w", err)
		}
		return nil
	})
	m.weaken = vrrp.Weakener(d.Conf.Keepalived.TrackFile)
	done, err := m.answer(ctx, req)
	if err == nil && done.On && req.For > 0 {
		done.Note = "the agent's daemon does not run: until it does, the maintenance does not end by itself when its time is over"
	}
	return done, err
}
