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

// world is a machine and the network on its link.
type world struct {
	mu    sync.Mutex // waiting in the test's clock does not order memory accesses
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

// in runs f while a Watch runs, with a clock that only the test advances.
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

func TestOnlyTheHolderAsks(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		w.held = []vip.Held{{Interface: "eth3", Address: public.Address}, {Interface: "eth4", Address: netip.MustParseAddr("192.168.1.7")}}
		if pass(20 * time.Second); w.asked != 0 {
			t.Fatalf("asked %d times about addresses that are not held or not VIPs", w.asked)
		}
		w.held = append(w.held, public)
		if pass(time.Second + time.Millisecond); w.asked != 1 {
			t.Fatalf("asked %d times in the first second as holder, want 1", w.asked)
		}
		if pass(20 * time.Second); w.asked != 5 {
			t.Fatalf("asked %d times after 20 s more, want 5", w.asked)
		}
		if w.log.Len() != 0 {
			t.Errorf("logged %s", &w.log)
		}
	})
}

func TestOtherHolderIsReported(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		w.held, w.who = []vip.Held{public}, []net.HardwareAddr{other}
		pass(30 * time.Second)
		if got, err := watch.Others(public); err != nil || !slices.Equal(got, []string{other.String()}) {
			t.Errorf("other holders: %v, %v; want one", got, err)
		}
		if got, err := watch.Others(vip.Held{Interface: "eth4"}); got != nil || err != nil {
			t.Errorf("other holders of another address: %v, %v; want none", got, err)
		}
		w.err = errors.New("network is down")
		pass(30 * time.Second)
		if got, err := watch.Others(public); err == nil || len(got) != 1 {
			t.Errorf("after an error, other holders: %v, %v; want the last ones, and the error", got, err)
		}
		w.who, w.err = nil, nil
		pass(30 * time.Second)
		if got, err := watch.Others(public); err != nil || got != nil {
			t.Errorf("without an answer, other holders: %v, %v; want none", got, err)
		}
		for _, once := range []string{"another machine answers", "network is down", "no other machine answers any more"} {
			if n := strings.Count(w.log.String(), once); n != 1 {
				t.Errorf("logged %q %d times, want once:\n%s", once, n, &w.log)
			}
		}
	})
}

func TestAddressThatIsGivenAwayHasNoDuplicate(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		w.held, w.who = []vip.Held{public}, []net.HardwareAddr{other}
		pass(2 * time.Second)
		w.held = nil
		pass(2 * time.Second)
		if got, err := watch.Others(public); got != nil || err != nil {
			t.Errorf("other holders of an address that is not held: %v, %v; want none", got, err)
		}
	})
}

func TestOneAnswerOfThePreviousHolderIsIgnored(t *testing.T) {
	in(t, func(w *world, watch *Watch, pass func(time.Duration)) {
		ask := watch.Ask
		watch.Ask = func(ctx context.Context, iface string, addr netip.Addr) ([]net.HardwareAddr, error) {
			who, err := ask(ctx, iface, addr)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.who = nil // the previous holder has removed the address before the next question
			return who, err
		}
		w.held, w.who = []vip.Held{public}, []net.HardwareAddr{other}
		pass(10 * time.Second)
		if got, _ := watch.Others(public); got != nil || w.log.Len() > 0 {
			t.Errorf("other holders %v, logged %s; want none", got, &w.log)
		}
	})
}
