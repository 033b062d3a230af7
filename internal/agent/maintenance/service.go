package maintenance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/neighbor"
	"github.com/hapair/hapair/internal/poll"
)

// Service takes this node out of service and back.
type Service struct {
	Mark   string // the file
	Track  string // the track file; the holder's files are in the same directory
	VIPs   []config.VIP
	Peers  []config.Peer
	Runs   func() keepalived.File              // the configuration that keepalived runs on
	Give   func(why error) error               // makes keepalived give the VIPs away; nil ends that
	Weaken func(words map[string]string) error // lowers the priority of each instance; nil ends that
	// States returns the instances' states as keepalived reported them; nil: they are not known here.
	States func() map[string]keepalived.State
	Now    func() time.Time
	Log    *slog.Logger

	resign    func(keepalived.Instance) error
	listen    func(keepalived.Instance) (listener, error)
	addresses func() ([]vip.Held, error)
	networks  func() ([]network, error)
	ask       func(ctx context.Context, iface string, addr netip.Addr) ([]net.HardwareAddr, error)

	mu sync.Mutex // one at a time
}

// New returns the service of a node, without its access to keepalived: Give, Weaken and States.
func New(conf *config.Config, mark string, runs func() keepalived.File, now func() time.Time, log *slog.Logger) *Service {
	return &Service{Mark: mark, Track: conf.Keepalived.TrackFile, VIPs: conf.VIPs, Peers: conf.Peers, Runs: runs, Now: now, Log: log,
		resign: advert.Resign, listen: func(in keepalived.Instance) (listener, error) { return advert.Listen(in) },
		addresses: vip.Addresses, networks: networks, ask: neighbor.Ask}
}

// Request asks the node to give its virtual IPs away and hold none, or to end that.
type Request struct {
	On    bool
	For   time.Duration // 0: without an end
	Force bool          // even if no peer takes the virtual IPs
}

// Result is the result of a Request.
type Result struct {
	On      bool
	Until   time.Time // zero: it has no end
	Refused string    // the reason why the virtual IPs stay here
	Note    string    // a message for the operator
}

// errForce is appended to a refusal.
var errForce = errors.New("`ha-agent maintenance on --force` ignores that, and leaves the virtual IPs without a holder")

// on takes the node out of service: first a peer takes the VIPs over, then the mark is written. If no peer does, the VIPs stay,
// unless force is given.
func (m *Service) on(ctx context.Context, req Request) (Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mark := NewMark(m.Now(), req.For)
	done := Result{On: true, Until: mark.Until}
	if old, _ := Read(m.Mark); old != nil { // only its end changes
		return done, Set(m.Mark, mark)
	}
	err := m.alone(ctx)
	if err == nil {
		err = m.handOver(ctx)
	}
	if ctx.Err() != nil {
		return Result{}, errors.Join(errors.New("cannot go into maintenance: the agent ends"), m.Give(nil), m.Weaken(nil))
	}
	if err != nil && !req.Force {
		if back := errors.Join(m.Give(nil), m.Weaken(nil)); back != nil {
			return Result{}, back
		}
		m.Log.Error("maintenance refused", "reason", err)
		return Result{Refused: fmt.Sprintf("%v: %s; %v", err, m.whereabouts(), errForce)}, nil
	}
	if err := Set(m.Mark, mark); err != nil {
		return Result{}, errors.Join(err, m.Give(nil), m.Weaken(nil))
	}
	m.Log.Warn("maintenance begins", "until", mark.Until)
	if err := errors.Join(m.Give(nil), m.Weaken(nil)); err != nil { // from here on the mark has the effect
		return Result{}, err
	}
	if err := m.given(ctx, true); err != nil {
		done.Note = err.Error()
	}
	return done, nil
}

// end removes the mark. It reports whether the node was in maintenance.
func (m *Service) end() (was bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, statErr := os.Lstat(m.Mark)
	if err := Clear(m.Mark); err != nil {
		return statErr == nil, err
	}
	if statErr == nil {
		m.Log.Warn("maintenance ends")
	}
	return statErr == nil, m.Give(nil)
}

// offTime is the time limit of off. keepalived's script must find haproxy healthy twice, a second apart.
const offTime = 15 * time.Second

// off ends the maintenance, and waits until the node can take over.
func (m *Service) off(ctx context.Context) (Result, error) {
	was, err := m.end()
	switch {
	case err != nil:
		return Result{}, err
	case !was:
		return Result{Note: "this node was not in maintenance"}, nil
	case m.States == nil:
		return Result{Note: "the agent's daemon does not run: it is not known when keepalived can take over again, normally within 3 s"}, nil
	}
	wait, cancel := context.WithTimeout(ctx, offTime)
	defer cancel()
	if err := poll.Until(wait, 20*time.Millisecond, func() (bool, error) { err := m.able(); return err == nil, err }); err != nil {
		return Result{Refused: fmt.Sprintf("maintenance is off, but this node cannot take over yet: %v; `ha-agent status` shows why", err)}, nil
	}
	return Result{}, nil
}

// able returns the reason why this node cannot hold a VIP, or nil.
func (m *Service) able() error {
	states := m.States()
	for _, v := range m.VIPs {
		for _, name := range v.Instances {
			switch state, told := states[name]; {
			case !told:
				return fmt.Errorf("keepalived has not reported the state of %s", name)
			case state != keepalived.Master && state != keepalived.Backup:
				return fmt.Errorf("%s is %s", name, state)
			}
		}
	}
	return nil
}

// patience is the time limit for a peer to take over: six advertisements and a second. A peer that can serve reacts to the
// first priority-0 advertisement that is not followed by another within its skew time.
func (m *Service) patience() time.Duration {
	longest := time.Duration(0)
	for _, in := range m.Runs().Instances {
		longest = max(longest, in.AdvertInt)
	}
	if longest == 0 {
		longest = time.Second
	}
	return 6*longest + time.Second
}

// given waits until this node holds no VIP, and, if need is set, until other machines answer for all of them.
func (m *Service) given(ctx context.Context, none bool) error {
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
		// The machine that answered may have handed its own VIPs over to this node meanwhile, if both were put into maintenance
		// at the same time.
		_, err = m.unheld()
		return err == nil, err
	})
}

// unheld returns the addresses of all VIPs, or an error if this node holds one.
func (m *Service) unheld() ([]vip.Held, error) {
	held, err := m.addresses()
	if err != nil {
		return nil, err
	}
	var all []vip.Held
	for _, v := range m.VIPs {
		on, missing := vip.Of(v, held)
		if len(on) > 0 {
			return nil, fmt.Errorf("keepalived does not release %v", on[0])
		}
		for _, a := range missing {
			all = append(all, vip.Held{Interface: v.Interface, Address: a})
		}
	}
	return all, nil
}

// Expire ends a maintenance whose time is over.
func (m *Service) Expire() error {
	mark, err := Read(m.Mark)
	if mark == nil || err != nil {
		return err
	}
	left, ends := mark.Left(m.Now())
	if !ends || left > 0 {
		return nil
	}
	_, err = m.end()
	return err
}

// Answer carries out a request.
func (m *Service) Answer(ctx context.Context, req Request) (Result, error) {
	if !req.On {
		return m.off(ctx)
	}
	done, err := m.on(ctx, req)
	if err == nil && done.On && req.For > 0 && m.States == nil {
		done.Note = "the agent's daemon does not run: until it does, the maintenance does not end by itself when its time is over"
	}
	return done, err
}

// Offline returns the service of a node whose daemon is dead: it writes the files that the daemon would write.
func Offline(conf *config.Config, mark string, runs func() keepalived.File, now func() time.Time) *Service {
	m := New(conf, mark, runs, now, slog.New(slog.DiscardHandler))
	m.Weaken = vrrp.Weakener(m.Track)
	m.Give = func(why error) error {
		word := "0\n"
		if _, err := os.Lstat(mark); why != nil || err == nil {
			word = "1\n"
		}
		if err := keepalived.WriteTrackFile(m.Track, word); err != nil {
			return fmt.Errorf("cannot tell keepalived: %w", err)
		}
		return nil
	}
	return m
}
