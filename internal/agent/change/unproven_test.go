package change

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

// If an editor saves twice in a row, the service may run on bytes that were never proven. If the second edit is bad, the
// service must return to its last known good files, and must not wait for a good edit.
func TestServiceDoesNotStayOnUnprovenBytes(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.a.onTake = func() {
		bn.a.onTake = nil
		bn.write(bn.a, "a3 bad")
	}
	if _, err := bn.round(); !errors.Is(err, ErrNoVerdict) {
		t.Fatalf("round: error %v, want no verdict", err)
	}
	bn.expect(journal.RolledBack, "a")
	bn.runsOn("a1", "b1")
	if got := bn.aside(bn.a); len(got) != 1 || got[0] != "a3 bad" {
		t.Errorf("files set aside contain %q, want a3 bad", got)
	}
	bn.nothing()
}

// After an interrupted change, restoring the last known good bytes is a change, because the service does not run on them.
func TestLastKnownGoodAfterUnprovenBytesIsAChange(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.a.onTake = func() {
		bn.a.onTake = nil
		bn.write(bn.a, "a3")
	}
	if _, err := bn.round(); !errors.Is(err, ErrNoVerdict) {
		t.Fatalf("round: error %v, want no verdict", err)
	}
	bn.write(bn.a, "a1")
	bn.expect(journal.Proven, "a")
	bn.runsOn("a1", "b1")
}

// If a file is saved during the rollback, the new file is another change, because the service may have loaded it.
func TestEditDuringRollbackIsTheNextChange(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "broken")
	takes := 0
	bn.a.onTake = func() {
		if takes++; takes == 2 {
			bn.write(bn.a, "a2")
		}
	}
	bn.expect(journal.RolledBack, "a")
	bn.expect(journal.Proven, "a")
	bn.runsOn("a2", "b1")
}

// If the last known good files cannot be proven either, this is reported once and retried.
func TestFailedRollbackIsRetried(t *testing.T) {
	bn := newBench(t)
	clock := time.Now()
	bn.now = func() time.Time { return clock }
	bn.a.failing = true
	bn.write(bn.a, "a2")
	if ch := bn.expect(journal.Failed, "a"); !strings.Contains(ch.Reason, "could not be proven") {
		t.Errorf("change %+v, want the reason that the last known good files could not be proven", ch)
	}
	bn.nothing() // the next try is not due yet
	for range 2 {
		clock = clock.Add(time.Hour)
		bn.round()
	}
	changes, err := bn.store.Changes()
	if err != nil || len(changes) > 5 {
		t.Errorf("the journal has %d changes, want at most 5 (%v): %+v", len(changes), err, changes)
	}
	bn.a.failing = false
	clock = clock.Add(time.Hour)
	bn.expect(journal.Proven, "a")
	bn.runsOn("a1", "b1")
	bn.nothing()
}

// An unreachable systemd is no verdict on the files.
func TestUnreachableBusGivesNoVerdict(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.write(bn.b, "b2")
	bn.b.unasked = true
	for range 2 {
		if ch, err := bn.round(); ch != nil || !errors.Is(err, ErrNoVerdict) {
			t.Fatalf("round = %+v, %v; want no verdict", ch, err)
		}
	}
	if bn.b.text() != "b2" {
		t.Error("the file was changed")
	}
	bn.b.unasked = false
	bn.expect(journal.Proven, "a", "b")
	bn.runsOn("a2", "b2")
}

// If the disk is full, a good edit is still taken. Its copy is stored as soon as there is space.
func TestGoodEditIsTakenOnAFullDisk(t *testing.T) {
	bn := newBench(t)
	before, err := bn.store.Goods()
	if err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(bn.dir, "store", "good")
	if err := os.Rename(good, good+".away"); err != nil {
		t.Fatal(err)
	}
	bn.write(bn.a, "a2")
	bn.expect(journal.Proven, "a")
	bn.write(bn.a, "broken")
	if err := os.Rename(good+".away", good); err != nil {
		t.Fatal(err)
	}
	bn.expect(journal.RolledBack, "a")
	bn.runsOn("a2", "b1")
	bn.payDebts()
	after, err := bn.store.Goods()
	if err != nil || after["a"].Generation <= before["a"].Generation {
		t.Errorf("last known good files: %+v, %v; want a generation after %d", after["a"], err, before["a"].Generation)
	}
}

// If the clock was set back, the agent must not assume that a service was started after its file was saved.
func TestClockSetBackHidesNoEdit(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.expect(journal.Proven, "a")
	if !bn.a.since.IsZero() {
		t.Errorf("an edit was treated as if the service might have loaded it at %v", bn.a.since)
	}
	bn.targets[0].state = state{} // as if a was never proven
	bn.expect(journal.Proven, "a")
	if bn.a.since.IsZero() {
		t.Error("at the first proof, the service was reloaded although it runs on the file")
	}
	bn.targets[0].state = state{} // as if a was never proven
	bn.now = func() time.Time { return time.Now().Add(-time.Hour) }
	bn.expect(journal.Proven, "a")
	if !bn.a.since.IsZero() {
		t.Errorf("a file with a time in the future was treated as older than the service: %v", bn.a.since)
	}
}
