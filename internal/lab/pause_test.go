package lab_test

import (
	"context"
	"slices"
	"testing"
	"time"
)

// TestPause pauses the holder of the VIP. For the other host it looks dead. When it continues, it still has the VIP, and
// must detect the other holder.
func TestPause(t *testing.T) {
	p := newPair(t, "trixie")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	const url = "http://192.168.1.32:5000/"
	who, err := p.holders.WaitOne(ctx, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.client.WaitAnswer(ctx, url); err != nil {
		t.Fatal(err)
	}
	holder := p.hosts[who]
	for range 2 { // the second call changes nothing
		if err := holder.Pause(); err != nil {
			t.Fatal(err)
		}
	}
	p.waitHolders(ctx, t, "a", "b")
	if _, err := p.client.WaitAnswer(ctx, url); err != nil {
		t.Fatalf("while %s is paused: %v", who, err)
	}
	resumed := time.Now()
	for range 2 {
		if err := holder.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.holders.WaitOne(ctx, 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	t.Logf("two holders for %v after it was resumed", p.holders.Overlap(resumed).Round(time.Millisecond))
	if _, err := holder.Must(ctx, "true"); err != nil {
		t.Error(err)
	}
	if err := holder.Pause(); err != nil {
		t.Fatal(err)
	}
	holder.Kill()
	if err := holder.Pause(); err == nil || err.Error() != "cannot pause host "+who+": it is off" {
		t.Errorf("a pause of a host that is off: %v", err)
	}
	if err := holder.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := holder.WaitRunning(ctx); err != nil {
		t.Errorf("after a kill of the paused host: %v", err)
	}
}

// waitHolders waits until exactly these hosts have the VIP.
func (p *pair) waitHolders(ctx context.Context, t *testing.T, names ...string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !slices.Equal(p.holders.Now(), names) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the VIP is on %q, want %q", p.holders.Now(), names)
		}
	}
}
