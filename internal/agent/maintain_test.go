package agent

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
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/vip"
)

var (
	testVIP  = netip.MustParseAddr("192.168.1.32")
	testPeer = netip.MustParseAddr("192.168.56.102")
)

// pair is a node with a peer that takes the VIP as soon as the node gives it away, if it is well.
type pair struct {
	*maintainer
	given      bool
	there      bool // the peer answers for its own address
	takes      bool
	stuck      bool // this node's keepalived does not let go
	clock      time.Time
	gaveBefore bool // the VIP was given before the mark was there
}

func newPair(t *testing.T) *pair {
	p := &pair{there: true, takes: true, clock: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	conf := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(conf, []byte("vrrp_instance VI_public {\n advert_int 0.05\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.maintainer = &maintainer{
		mark: filepath.Join(t.TempDir(), "maintenance"), conf: conf, log: slog.New(slog.DiscardHandler),
		vips:  []config.VIP{{Name: "public", Interface: "eth4", Addresses: []netip.Prefix{netip.PrefixFrom(testVIP, 24)}}},
		peers: []config.Peer{{Name: "controller_2", Addresses: []netip.Addr{testPeer}}},
		now:   func() time.Time { return p.clock },
		give: func(why error) error {
			_, err := os.Lstat(p.mark)
			if why != nil && err != nil {
				p.gaveBefore = true
			}
			p.given = why != nil || err == nil
			return nil
		},
		addresses: func() ([]vip.Held, error) {
			if p.given && !p.stuck {
				return nil, nil
			}
			return []vip.Held{{Interface: "eth4", Address: testVIP}}, nil
		},
		networks: func() ([]network, error) {
			return []network{{"eth3", netip.MustParsePrefix("192.168.56.0/24")}}, nil
		},
		ask: func(_ context.Context, iface string, a netip.Addr) ([]net.HardwareAddr, error) {
			if iface == "eth3" && a == testPeer && p.there || iface == "eth4" && a == testVIP && p.given && p.takes {
				return []net.HardwareAddr{{2, 0, 0, 0, 0, 2}}, nil
			}
			return nil, nil
		},
	}
	return p
}

func (p *pair) marked() bool { _, err := os.Lstat(p.mark); return err == nil }

func TestMaintenance(t *testing.T) {
	for name, tt := range map[string]struct {
		set     func(p *pair)
		force   bool
		refused string // in the reason; empty: it is on
		kept    bool   // the VIPs were never given away
	}{
		"a peer takes over":                  {},
		"no peer is there":                   {set: func(p *pair) { p.there = false }, refused: "no peer answers (controller_2)", kept: true},
		"the peer does not take over":        {set: func(p *pair) { p.takes = false }, refused: "takes the virtual IPs back"},
		"keepalived does not let go":         {set: func(p *pair) { p.stuck = true }, refused: "does not let go"},
		"no peer is there, and it must be":   {set: func(p *pair) { p.there, p.takes = false, false }, force: true},
		"a peer behind a router takes over":  {set: func(p *pair) { p.networks = func() ([]network, error) { return nil, nil } }},
		"keepalived does not let go, forced": {set: func(p *pair) { p.stuck = true }, force: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			if tt.set != nil {
				tt.set(p)
			}
			start := time.Now()
			done, err := p.on(t.Context(), control.MaintenanceRequest{On: true, Force: tt.force})
			if err != nil {
				t.Fatal(err)
			}
			if on := tt.refused == ""; done.On != on || p.marked() != on || p.given != on {
				t.Errorf("%+v, marked: %v, given away: %v", done, p.marked(), p.given)
			}
			if tt.refused != "" && (!strings.Contains(done.Refused, tt.refused) || !strings.Contains(done.Refused, "--force")) {
				t.Errorf("refused: %s", done.Refused)
			}
			if p.gaveBefore == tt.kept {
				t.Errorf("given away before it was cut: %v", p.gaveBefore)
			}
			if took, most := time.Since(start), p.patience()+time.Second; took > most {
				t.Errorf("it took %v, want %v at most", took, most)
			}
			if was, err := p.off(); err != nil || was != done.On || p.given || p.marked() {
				t.Errorf("off: %v, %v", was, err)
			}
		})
	}
}

func TestMaintenanceEnds(t *testing.T) {
	p := newPair(t)
	done, err := p.on(t.Context(), control.MaintenanceRequest{On: true, For: time.Hour})
	if err != nil || !done.Until.Equal(p.clock.Add(time.Hour)) {
		t.Fatalf("%+v, %v", done, err)
	}
	p.clock = p.clock.Add(59 * time.Minute)
	if err := p.expire(); err != nil || !p.marked() {
		t.Fatalf("it ended too soon: %v", err)
	}
	// what is said again holds from now on
	if done, err = p.on(t.Context(), control.MaintenanceRequest{On: true, For: time.Hour}); err != nil || !done.On {
		t.Fatalf("%+v, %v", done, err)
	}
	p.clock = p.clock.Add(2 * time.Minute)
	if err := p.expire(); err != nil || !p.marked() {
		t.Fatalf("it ended too soon: %v", err)
	}
	p.clock = p.clock.Add(58 * time.Minute)
	if err := p.expire(); err != nil || p.marked() || p.given {
		t.Fatalf("it goes on: %v", err)
	}
}

func TestMaintenanceThatCannotBeMarkedTakesTheVIPsBack(t *testing.T) {
	p := newPair(t)
	p.mark = filepath.Join(t.TempDir(), "missing", "maintenance")
	if done, err := p.on(t.Context(), control.MaintenanceRequest{On: true}); err == nil || p.given {
		t.Errorf("%+v, %v, given away: %v", done, err, p.given)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p = newPair(t)
	p.addresses = func() ([]vip.Held, error) { cancel(); return nil, errors.New("the agent ends") }
	if done, err := p.on(ctx, control.MaintenanceRequest{On: true}); err == nil || p.given || p.marked() {
		t.Errorf("%+v, %v, given away: %v", done, err, p.given)
	}
}
