package agent

import (
	"testing"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
)

func TestChangesAreCountedOnce(t *testing.T) {
	s, err := store.Open(t.TempDir() + "/store")
	if err != nil {
		t.Fatal(err)
	}
	for n, v := range []journal.Verdict{journal.Proven, journal.Refused, journal.Proven} {
		if err := s.Append(journal.Change{Number: n + 1, Verdict: v}); err != nil {
			t.Fatal(err)
		}
	}
	count := &tally{store: s}
	count.changes()
	if err := s.Append(journal.Change{Number: 4, Verdict: journal.RolledBack}); err != nil {
		t.Fatal(err)
	}
	got := count.changes()
	if got[journal.Proven] != 2 || got[journal.Refused] != 1 || got[journal.RolledBack] != 1 || got[journal.Failed] != 0 {
		t.Errorf("counted changes: %v", got)
	}
}
