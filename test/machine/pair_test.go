package machine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// TestQEMUPair boots the pair of a release, and causes faults that real machines have.
func TestQEMUPair(t *testing.T) {
	needs.Emulation(t)
	for _, release := range cluster.Releases(t, "noble", "trixie") {
		t.Run(release, func(t *testing.T) { testPair(t, twoSegments(), release, UEFI) })
	}
}

// TestQEMUPairOnBond is the same with bonded cards, and with the VIP in a VLAN on the bond.
func TestQEMUPairOnBond(t *testing.T) {
	needs.Emulation(t)
	for _, release := range cluster.Releases(t, "noble") {
		t.Run(release, func(t *testing.T) { testPair(t, bondAndVLAN(), release, BIOS) })
	}
}

func testPair(t *testing.T, wiring wiring, release string, firmware Firmware) {
	Need(t, firmware)
	w := newWorld(t, wiring)
	w.machines(t, release, w.Image(t, release), firmware, 2)
	start := time.Now()
	for _, n := range w.nodes {
		n.Start(t)
	}
	ids := map[*node]string{}
	for _, n := range w.nodes {
		ids[n] = w.booted(t, n, "")
	}
	w.settle(t, nil)
	w.verifyAll(t)
	t.Logf("both nodes up and verified %v after power on", time.Since(start).Round(time.Second))

	watch := w.client.Watch(t.Context(), service, 100*time.Millisecond, 2*time.Second)
	defer watch.Stop()
	holder := w.settle(t, nil)
	step := func(name string, what func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			watch.Reset()
			what(t)
			w.verifyAll(t)
			t.Logf("longest time without an answer: %v", watch.Report().Longest.Duration().Round(time.Millisecond))
		})
	}
	step("networkd restarted", func(t *testing.T) {
		w.must(t, holder, "systemctl restart systemd-networkd.service")
		if after := w.settle(t, nil); after != holder {
			t.Errorf("the VIP moved from %s to %s", holder.name, after.name)
		}
	})
	step("haproxy killed", func(t *testing.T) {
		w.must(t, holder, "systemctl mask --runtime haproxy.service; pkill -KILL -x haproxy")
		next := w.settle(t, holder)
		w.must(t, holder, "systemctl unmask --runtime haproxy.service; systemctl reset-failed haproxy.service; systemctl start haproxy.service")
		holder = next
	})
	step("power cut", func(t *testing.T) {
		holder.Kill()
		next := w.settle(t, holder)
		holder.Start(t)
		ids[holder] = w.booted(t, holder, ids[holder])
		holder = next
	})
	step("rebooted", func(t *testing.T) {
		w.must(t, holder, reboot)
		next := w.settle(t, holder)
		ids[holder] = w.booted(t, holder, ids[holder])
		holder = next
	})
}

// settle waits until exactly one node, other than not, holds the VIP, and clients get answers. It returns the holder.
func (w *world) settle(t *testing.T, not *node) *node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), moveLimit)
	defer cancel()
	var holder *node
	err := poll.Nil(ctx, pollEvery, func() (err error) {
		if holder, err = w.holder(ctx); err == nil && holder == not {
			err = errors.New(not.name + " still holds the VIP")
		}
		return err
	})
	if err == nil {
		_, err = w.client.WaitAnswer(ctx, service)
	}
	if err != nil {
		t.Fatal(err)
	}
	return holder
}

// holder asks all running nodes whether they hold the VIP.
func (w *world) holder(ctx context.Context) (*node, error) {
	var holders []*node
	for _, n := range w.nodes {
		if n.Ended() != nil {
			continue
		}
		out, err := w.admin.Run(ctx, n.address, "ip -o addr show to "+vip)
		if err == nil && strings.Contains(out, vip) {
			holders = append(holders, n)
		}
	}
	if len(holders) != 1 {
		return nil, fmt.Errorf("%d nodes hold the VIP", len(holders))
	}
	return holders[0], nil
}

// verifyAll repeats bake verify until it succeeds, because a server behind a proxy that has just started is not up yet.
func (w *world) verifyAll(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), moveLimit)
	defer cancel()
	err := poll.Nil(ctx, pollEvery, func() error {
		out, err := w.admin.Command(ctx, filepath.Join(w.Dir, "bake"), "verify", w.Spec, "--ssh-config", w.admin.Config()).CombinedOutput()
		if err != nil {
			return fmt.Errorf("bake verify: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
