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

// An editor that saves twice in a row leaves the service on bytes that were never proven. Where the newer ones are bad the
// service goes back: it must not stay on what nobody has judged until somebody makes a good edit.
func TestUnprovenBytesDoNotRunOn(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.a.onTake = func() {
		bn.a.onTake = nil
		bn.write(bn.a, "a3 bad")
	}
	if _, err := bn.round(); !errors.Is(err, ErrNoVerdict) {
		t.Fatalf("the error is %v, want that there is no verdict", err)
	}
	bn.expect(journal.RolledBack, "a")
	bn.runsOn("a1", "b1")
	if got := bn.aside(bn.a); len(got) != 1 || got[0] != "a3 bad" {
		t.Errorf("set aside: %q", got)
	}
	bn.nothing()
}

// The last known good bytes are news when they come back: the service does not run on them.
func TestLastKnownGoodComesBackAfterUnprovenBytes(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.a.onTake = func() {
		bn.a.onTake = nil
		bn.write(bn.a, "a3")
	}
	if _, err := bn.round(); !errors.Is(err, ErrNoVerdict) {
		t.Fatalf("the error is %v, want that there is no verdict", err)
	}
	bn.write(bn.a, "a1")
	bn.expect(journal.Proven, "a")
	bn.runsOn("a1", "b1")
}

// An editor is faster than the rollback: what it saved is a change of its own, and what runs meanwhile is not sure to be
// what was proven.
func TestAnEditDuringTheRollbackIsTheNextChange(t *testing.T) {
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

// What does not prove on its last known good files either is told once, and tried again until it does.
func TestARollbackThatFailsIsTriedAgain(t *testing.T) {
	bn := newBench(t)
	clock := time.Now()
	bn.now = func() time.Time { return clock }
	bn.a.failing = true
	bn.write(bn.a, "a2")
	if ch := bn.expect(journal.Failed, "a"); !strings.Contains(ch.Reason, "could not be proven") {
		t.Errorf("%+v", ch)
	}
	bn.nothing() // it is not tried again at once
	for range 2 {
		clock = clock.Add(time.Hour)
		bn.round()
	}
	changes, err := bn.store.Changes()
	if err != nil || len(changes) > 5 {
		t.Errorf("%d changes are in the journal, %v: %+v", len(changes), err, changes)
	}
	bn.a.failing = false
	clock = clock.Add(time.Hour)
	bn.expect(journal.Proven, "a")
	bn.runsOn("a1", "b1")
	bn.nothing()
}

// A systemd that cannot be reached says nothing about the files.
func TestNobodyIsBlamedForABusThatIsDown(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.write(bn.b, "b2")
	bn.b.unasked = true
	for range 2 {
		if ch, err := bn.round(); ch != nil || !errors.Is(err, ErrNoVerdict) {
			t.Fatalf("%+v, %v", ch, err)
		}
	}
	if bn.b.text() != "b2" {
		t.Error("the file was touched")
	}
	bn.b.unasked = false
	bn.expect(journal.Proven, "a", "b")
	bn.runsOn("a2", "b2")
}

// A disk that is full keeps nobody from a good edit, and what could not be kept is kept when there is room.
func TestADiskThatIsFull(t *testing.T) {
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
		t.Errorf("%+v, %v", after["a"], err)
	}
}

// A clock that was set back must not make it seem that a service was started on what was saved after its start.
func TestAClockThatIsSetBackHidesNoEdit(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.expect(journal.Proven, "a")
	if !bn.a.since.IsZero() {
		t.Errorf("an edit may be on already since %v", bn.a.since)
	}
	bn.targets[0].state = state{} // as if nothing was known of a
	bn.expect(journal.Proven, "a")
	if bn.a.since.IsZero() {
		t.Error("at the first proof it is reloaded for nothing")
	}
	bn.targets[0].state = state{} // as if nothing was known of a
	bn.now = func() time.Time { return time.Now().Add(-time.Hour) }
	bn.expect(journal.Proven, "a")
	if !bn.a.since.IsZero() {
		t.Errorf("files of the future are taken for older than the service: %v", bn.a.since)
	}
}
