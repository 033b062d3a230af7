package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab/fault"
)

// Limits that also apply on a busy machine. The typical values are logged.
const (
	mostOutage  = 15 * time.Second
	mostOverlap = 2 * time.Second
)

func (c controllers) suffer(t *testing.T, f fault.Fault) {
	holder, other := c.Settle(t)
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	if err := c.answered(ctx, servicePath); err != nil {
		t.Fatalf("before the fault: %v", err)
	}
	watch := c.watchFresh(ctx)
	defer watch.stop()
	began := time.Now()
	if err := f.Strike(ctx, holder); err != nil {
		t.Fatal(err)
	}
	if err := c.Holders.WaitHolder(ctx, other.Name, 0); err != nil {
		t.Fatalf("%v\n%s\n%s", err, holder.Logs(t.Context(), 80), other.Logs(t.Context(), 80))
	}
	if err := c.answered(ctx, servicePath); err != nil {
		t.Fatalf("after the fault: %v\n%s", err, other.Logs(t.Context(), 80))
	}
	_, outage, _ := watch.stop()
	if err := f.Repair(ctx, holder); err != nil {
		t.Fatal(err)
	}
	c.WaitRunning(ctx, t)
	after, _ := c.Settle(t)
	gap, overlap := outage.Round(time.Millisecond), c.Holders.Overlap(began).Round(time.Millisecond)
	t.Logf("from %s to %s; the client had no answer for %v; two holders for %v; after the repair %s holds it", holder.Name, other.Name, gap, overlap, after.Name)
	if gap > mostOutage || overlap > mostOverlap {
		t.Errorf("want no answer for at most %v, and two holders for at most %v", mostOutage, mostOverlap)
	}
	if err := c.answered(ctx, servicePath); err != nil {
		t.Errorf("after the repair: %v", err)
	}
}

// patience is the timeout of a client in tests in which no request may fail. A lost packet is sent again after a second,
// which must count as a failure. A delay on a busy machine must not.
const patience = 900 * time.Millisecond

// networkdRestart checks that networkd does not remove the VIP, even if it is told to reconfigure everything.
func networkdRestart(t *testing.T, c controllers) {
	holder, _ := c.Settle(t)
	before := c.Holders.Spans()
	watch := c.watch(t.Context())
	defer watch.stop()
	for _, command := range []string{"systemctl restart systemd-networkd.service", "networkctl reload", "networkctl reconfigure eth4"} {
		if _, err := holder.Must(t.Context(), "sh", "-c", command); err != nil {
			t.Error(err)
		}
		if again, _ := c.Settle(t); again != holder {
			t.Fatalf("after %s the VIP is on %s", command, again.Name)
		}
		if after := c.Holders.Spans(); !slices.Equal(before, after) {
			t.Errorf("after %s the VIP was removed and added again: %v", command, after[len(before)-1:])
		}
	}
	if failures, _, last := watch.stop(); failures > 0 {
		t.Errorf("%d requests failed, the last with %v", failures, last)
	}
}
