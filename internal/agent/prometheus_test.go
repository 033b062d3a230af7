package agent

import (
	"testing"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
)

func TestChangesAreCountedOnce(t *testing.T) {
	s, err := store.Open(t.TempDir() + "/store")
	if err != nil {
		t.Fatal(err)
	}
	for n, v := range []control.Verdict{control.Proven, control.Refused, control.Proven} {
		if err := s.Append(control.Change{Number: n + 1, Verdict: v}); err != nil {
			t.Fatal(err)
		}
	}
	count := &tally{store: s}
	count.changes()
	if err := s.Append(control.Change{Number: 4, Verdict: control.RolledBack}); err != nil {
		t.Fatal(err)
	}
	got := count.changes()
	if got[control.Proven] != 2 || got[control.Refused] != 1 || got[control.RolledBack] != 1 || got[control.Failed] != 0 {
		t.Errorf("%v", got)
	}
}
