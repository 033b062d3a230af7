package maintenance

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
)

var (
	testVIP  = netip.MustParseAddr("192.168.1.32")
	testPeer = netip.MustParseAddr("192.168.56.102")
)

// pair is a node and a working peer, which takes the VIP as soon as the node gives it away or resigns.
type pair struct {
	*Service
	given      bool
	weak       bool // the node's priority was lowered
	fixed      bool // the priority cannot be lowered: keepalived.conf has no holder's file
	resigned   int
	moved      bool // the peer has taken the VIP over
	there      bool // the peer answers for its own address
	takes      bool
	stuck      bool // this node's keepalived does not remove the VIP
	clock      time.Time
	gaveBefore bool // the VIP was removed from this node before the peer had it, and before the mark existed
	state      keepalived.State
	looks      int // number of calls of States
}

func (p *pair) Close() error { return nil }

// Heard reports whether the peer was heard. It then backs down before this node's higher priority.
func (p *pair) Heard() bool { return p.resigned > 0 && p.takes }

func newPair(t *testing.T) *pair {
	p := &pair{there: true, takes: true, clock: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	track := filepath.Join(t.TempDir(), "haproxy.track")
	file := keepalived.HolderFile(track, "VI_public")
	if err := os.WriteFile(file, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := "vrrp_instance VI_public {\n advert_int 0.05\n virtual_ipaddress {\n  192.168.1.32/24 dev eth4\n }\n track_file {\n  holder\n }\n}\n"
	p.Service = &Service{
		Mark: filepath.Join(t.TempDir(), "maintenance"), Track: track, Log: slog.New(slog.DiscardHandler),
		VIPs:  []config.VIP{{Name: "public", Interface: "eth4", Addresses: []netip.Prefix{netip.PrefixFrom(testVIP, 24)}, Instances: []string{"VI_public"}}},
		Peers: []config.Peer{{Name: "controller_2", Addresses: []netip.Addr{testPeer}}},
		Now:   func() time.Time { return p.clock },
		Give: func(why error) error {
			_, err := os.Lstat(p.Mark)
			if why != nil && err != nil && p.resigned == 0 {
				p.gaveBefore = true
			}
			p.given = why != nil || err == nil
			p.moved = p.moved || p.given && p.takes && !p.stuck
			return nil
		},
		addresses: func() ([]vip.Held, error) {
			if (p.given || p.moved) && !p.stuck {
				return nil, nil
			}
			return []vip.Held{{Interface: "eth4", Address: testVIP}}, nil
		},
		networks: func() ([]network, error) {
			return []network{{"eth3", netip.MustParsePrefix("192.168.56.0/24")}}, nil
		},
		ask: func(_ context.Context, iface string, a netip.Addr) ([]net.HardwareAddr, error) {
			if iface == "eth3" && a == testPeer && p.there || iface == "eth4" && a == testVIP && p.moved {
				return []net.HardwareAddr{{2, 0, 0, 0, 0, 2}}, nil
			}
			return nil, nil
		},
	}
	p.Runs = func() keepalived.File {
		if p.fixed {
			return keepalived.Read([]byte(conf))
		}
		return keepalived.Read([]byte(conf + "track_file holder {\n file " + file + "\n weight 3\n}\n"))
	}
	p.Weaken = func(words map[string]string) error {
		if words != nil && !p.fixed && words["VI_public"] != "-84\n" {
			t.Errorf("the holder's files get %v, want -84 for VI_public", words)
		}
		p.weak = len(words) > 0
		return nil
	}
	p.resign = func(in keepalived.Instance) error {
		p.resigned++
		p.moved = p.moved || in.Name == "VI_public" && p.weak && p.takes && !p.stuck
		return nil
	}
	p.listen = func(keepalived.Instance) (listener, error) { return p, nil }
	p.state = keepalived.Backup
	p.States = func() map[string]keepalived.State {
		p.looks++
		return map[string]keepalived.State{"VI_public": p.state}
	}
	return p
}

func (p *pair) marked() bool { _, err := os.Lstat(p.Mark); return err == nil }

func TestMaintenance(t *testing.T) {
	for name, tt := range map[string]struct {
		set     func(p *pair)
		force   bool
		refused string // part of the reason; empty if maintenance begins
	}{
		"a peer takes over":                       {},
		"no peer is there":                        {set: func(p *pair) { p.there = false }, refused: "no peer answers (controller_2): the virtual IPs stay here"},
		"the peer does not take over":             {set: func(p *pair) { p.takes = false }, refused: "no peer takes over 192.168.1.32: the virtual IPs stay here"},
		"the peer does not take over, fixed":      {set: func(p *pair) { p.takes, p.fixed = false, true }, refused: "no peer takes over 192.168.1.32: the virtual IPs stay here"},
		"a peer takes over, fixed":                {set: func(p *pair) { p.fixed = true }},
		"keepalived does not release":             {set: func(p *pair) { p.stuck = true }, refused: "no peer takes over"},
		"keepalived does not release, fixed":      {set: func(p *pair) { p.stuck, p.fixed = true, true }, refused: "does not release"},
		"no peer is there, and it must be":        {set: func(p *pair) { p.there, p.takes = false, false }, force: true},
		"the peer does not take over, it must be": {set: func(p *pair) { p.takes = false }, force: true},
		"a peer behind a router takes over":       {set: func(p *pair) { p.networks = func() ([]network, error) { return nil, nil } }},
		"keepalived does not release, forced":     {set: func(p *pair) { p.stuck = true }, force: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			if tt.set != nil {
				tt.set(p)
			}
			start := time.Now()
			done, err := p.on(t.Context(), Request{On: true, Force: tt.force})
			if err != nil {
				t.Fatal(err)
			}
			if on := tt.refused == ""; done.On != on || p.marked() != on || p.given != on || p.weak {
				t.Errorf("on = %+v, marked: %v, given away: %v, priority lowered: %v", done, p.marked(), p.given, p.weak)
			}
			if tt.refused != "" && (!strings.Contains(done.Refused, tt.refused) || !strings.Contains(done.Refused, "--force")) {
				t.Errorf("refused with %q", done.Refused)
			}
			if p.gaveBefore {
				t.Error("the VIP was given away before a peer had it")
			}
			if took, most := time.Since(start), 2*p.patience()+time.Second; took > most {
				t.Errorf("on took %v, want at most %v", took, most)
			}
			if back, err := p.off(t.Context()); err != nil || (back.Note == "") != done.On || back.Refused != "" || p.given || p.marked() {
				t.Errorf("off = %+v, %v", back, err)
			}
		})
	}
}

func TestOffWaitsUntilTheNodeCanTakeOver(t *testing.T) {
	p := newPair(t)
	if err := Set(p.Mark, NewMark(p.clock, 0)); err != nil {
		t.Fatal(err)
	}
	p.state = keepalived.Fault
	p.States = func() map[string]keepalived.State {
		if p.looks++; p.looks > 2 {
			p.state = keepalived.Backup
		}
		return map[string]keepalived.State{"VI_public": p.state}
	}
	if done, err := p.off(t.Context()); err != nil || done.Refused != "" || p.looks != 3 {
		t.Errorf("off = %+v, %v after %d calls of States, want success after 3", done, err, p.looks)
	}
	if err := Set(p.Mark, NewMark(p.clock, 0)); err != nil {
		t.Fatal(err)
	}
	p.States = func() map[string]keepalived.State { return map[string]keepalived.State{"VI_public": keepalived.Fault} }
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if done, err := p.off(ctx); err != nil || !strings.Contains(done.Refused, "cannot take over yet: VI_public is FAULT") || p.marked() {
		t.Errorf("off = %+v, %v; want that the node cannot take over", done, err)
	}
}

func TestMaintenanceEnds(t *testing.T) {
	p := newPair(t)
	done, err := p.on(t.Context(), Request{On: true, For: time.Hour})
	if err != nil || !done.Until.Equal(p.clock.Add(time.Hour)) {
		t.Fatalf("on = %+v, %v; want an end after an hour", done, err)
	}
	p.clock = p.clock.Add(59 * time.Minute)
	if err := p.Expire(); err != nil || !p.marked() {
		t.Fatalf("maintenance ended after 59 minutes: %v", err)
	}
	// a second call replaces the end
	if done, err = p.on(t.Context(), Request{On: true, For: time.Hour}); err != nil || !done.On {
		t.Fatalf("the second on = %+v, %v", done, err)
	}
	p.clock = p.clock.Add(2 * time.Minute)
	if err := p.Expire(); err != nil || !p.marked() {
		t.Fatalf("maintenance ended before its new end: %v", err)
	}
	p.clock = p.clock.Add(58 * time.Minute)
	if err := p.Expire(); err != nil || p.marked() || p.given {
		t.Fatalf("maintenance has not ended: %v", err)
	}
}

func TestFailureToMarkTakesTheVIPsBack(t *testing.T) {
	p := newPair(t)
	p.Mark = filepath.Join(t.TempDir(), "missing", "maintenance")
	if done, err := p.on(t.Context(), Request{On: true}); err == nil || p.given {
		t.Errorf("on without a mark = %+v, %v, given away: %v", done, err, p.given)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p = newPair(t)
	p.addresses = func() ([]vip.Held, error) { cancel(); return nil, errors.New("the agent ends") }
	if done, err := p.on(ctx, Request{On: true}); err == nil || p.given || p.marked() {
		t.Errorf("on when the agent ends = %+v, %v, given away: %v", done, err, p.given)
	}
}
