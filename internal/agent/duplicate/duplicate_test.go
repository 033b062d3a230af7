package duplicate

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
)

var (
	public = vip.Held{Interface: "eth4", Address: netip.MustParseAddr("192.168.1.32")}
	other  = net.HardwareAddr{2, 0, 0, 0, 0, 9}
)

// world is a machine and its link.
type world struct {
	mu    sync.Mutex // the time that a test lets pass is no order of memory
	held  []vip.Held
	who   []net.HardwareAddr
	err   error
	asked int
	log   bytes.Buffer
}

func (w *world) watch() *Watch {
	return &Watch{
		VIPs:     []config.VIP{{Name: "public", Interface: "eth4", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.32/24")}}},
		Interval: DefaultInterval, Look: make(chan struct{}),
		Held: func() ([]vip.Held, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.held, nil
		},
		Ask: func(context.Context, string, netip.Addr) ([]net.HardwareAddr, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.asked++
			return w.who, w.err
		},
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
}

// in runs f beside a running Watch, in a time of its own.
func in(t *testing.T, f func(w *world, watch *Watch, pass func(time.Duration))) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		watch := w.watch()
		ctx, cancel := context.WithCancel(t.Context())
		w.mu.Lock()
		defer w.mu.Unlock()
		go watch.Run(ctx)
		f(w, watch, func(d time.Duration) {
			w.mu.Unlock()
			for end := time.Now().Add(d); time.Now().Before(end); {
				time.Sleep(min(time.Second, time.Until(end)))
				watch.Look <- struct{}{}
			}
			synctest.Wait()
			w.mu.Lock()
		})
		cancel()
		synctest.Wait()
	})
}

func TestOnlyAHolderAsks(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		w.held = []vip.Held{{Interface: "eth3", Address: public.Address}, {Interface: "eth4", Address: netip.MustParseAddr("192.168.1.7")}}
		if pass(20 * time.Second); w.asked != 0 {
			t.Fatalf("asked %d times about what is not held", w.asked)
		}
		w.held = append(w.held, public)
		if pass(time.Second + time.Millisecond); w.asked != 1 {
			t.Fatalf("asked %d times within a second after it became the holder", w.asked)
		}
		if pass(20 * time.Second); w.asked != 5 {
			t.Fatalf("asked %d times in 20 s more", w.asked)
		}
		if w.log.Len() != 0 {
			t.Errorf("said %s", &w.log)
		}
	})
}

func TestAnotherHolder(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		w.held, w.who = []vip.Held{public}, []net.HardwareAddr{other}
		pass(30 * time.Second)
		if got, err := watch.Others(public); err != nil || !slices.Equal(got, []string{other.String()}) {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := watch.Others(vip.Held{Interface: "eth4"}); got != nil || err != nil {
			t.Errorf("of another address: %v, %v", got, err)
		}
		w.err = errors.New("network is down")
		pass(30 * time.Second)
		if got, err := watch.Others(public); err == nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
		w.who, w.err = nil, nil
		pass(30 * time.Second)
		if got, err := watch.Others(public); err != nil || got != nil {
			t.Errorf("%v, %v", got, err)
		}
		for _, once := range []string{"another machine answers", "network is down", "no other machine answers any more"} {
			if n := strings.Count(w.log.String(), once); n != 1 {
				t.Errorf("said %q %d times:\n%s", once, n, &w.log)
			}
		}
	})
}

func TestAnAddressGivenAway(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		w.held, w.who = []vip.Held{public}, []net.HardwareAddr{other}
		pass(2 * time.Second)
		w.held = nil
		pass(2 * time.Second)
		if got, err := watch.Others(public); got != nil || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestTheOneBeforeStillAnswers(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		ask := watch.Ask
		watch.Ask = func(ctx context.Context, iface string, addr netip.Addr) ([]net.HardwareAddr, error) {
			who, err := ask(ctx, iface, addr)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.who = nil // it has let go by the next time
			return who, err
		}
		w.held, w.who = []vip.Held{public}, []net.HardwareAddr{other}
		pass(10 * time.Second)
		if got, _ := watch.Others(public); got != nil || w.log.Len() > 0 {
			t.Errorf("%v, said %s", got, &w.log)
		}
	})
}
