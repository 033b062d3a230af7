package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
)

// An editor that saves twice in a row leaves the service on bytes that were never proven. The last known good ones are
// news then when they come back: the service does not run on them.
func TestLastKnownGoodComesBackAfterUnprovenBytes(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.a.onTake = func() {
		bn.a.onTake = nil
		bn.write(bn.a, "a3 bad")
	}
	changed, err := bn.look()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bn.change(t.Context(), changed, time.Now()); !errors.Is(err, errNoVerdict) {
		t.Fatalf("the error is %v, want that there is no verdict", err)
	}
	bn.a.runs = "a2" // the fake's take read a3
	bn.expect(control.Refused, "a")
	bn.write(bn.a, "a1")
	bn.expect(control.Proven, "a")
	if bn.a.runs != "a1" {
		t.Errorf("a runs on %q, want a1", bn.a.runs)
	}
}
