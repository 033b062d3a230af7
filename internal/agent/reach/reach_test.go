package reach

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/neighbor"
)

func TestRound(t *testing.T) {
	peer := netip.MustParseAddr("127.0.0.9")
	own := netip.MustParseAddr("127.0.0.1")
	lost := []neighbor.Entry{{Interface: "lo", Address: peer}}
	for _, tt := range []struct {
		name     string
		holding  bool
		held     time.Duration
		lost     []neighbor.Entry
		vips     []netip.Addr
		err      error
		greeted  bool
		nextLook time.Duration
	}{
		{name: "a backup asks nothing", lost: lost},
		{name: "a new holder looks again", holding: true, nextLook: soon},
		{name: "an old holder looks when it is told to", holding: true, held: time.Hour},
		{name: "a peer is lost", holding: true, held: time.Hour, lost: lost, greeted: true, nextLook: every},
		{name: "a VIP is no source", holding: true, held: time.Hour, lost: lost, vips: []netip.Addr{own}},
		{name: "a peer in no network of this machine", holding: true, held: time.Hour, lost: []neighbor.Entry{{Interface: "lo", Address: netip.MustParseAddr("192.0.2.1")}}},
		{name: "the interface is gone", holding: true, held: time.Hour, lost: []neighbor.Entry{{Interface: "nosuch0", Address: peer}}},
		{name: "it cannot be asked", holding: true, held: time.Hour, lost: lost, err: errors.New("not permitted"), greeted: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var greeted []netip.Addr
			w := &Watch{Peers: []netip.Addr{peer}, VIPs: tt.vips, Log: slog.New(slog.DiscardHandler),
				Holding:    func() (time.Duration, bool) { return tt.held, tt.holding },
				Unresolved: func([]netip.Addr) ([]neighbor.Entry, error) { return tt.lost, nil },
				Greet:      func(_ neighbor.Entry, from netip.Addr) error { greeted = append(greeted, from); return tt.err }}
			if next := w.round(); next != tt.nextLook {
				t.Errorf("the next round is after %v, want %v", next, tt.nextLook)
			}
			if want := map[bool][]netip.Addr{true: {own}}[tt.greeted]; !slices.Equal(greeted, want) {
				t.Errorf("asked from %v, want %v", greeted, want)
			}
		})
	}
}

func TestErrorIsLoggedOnce(t *testing.T) {
	var log strings.Builder
	fails := errors.New("netlink is full")
	w := &Watch{Peers: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Holding:    func() (time.Duration, bool) { return time.Hour, true },
		Unresolved: func([]netip.Addr) ([]neighbor.Entry, error) { return nil, fails }}
	for range 3 {
		w.round()
	}
	if n := strings.Count(log.String(), "netlink is full"); n != 1 {
		t.Errorf("the error was logged %d times:\n%s", n, log.String())
	}
}
