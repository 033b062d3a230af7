package change

import (
	"testing"
	"time"
)

func TestRelation(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		state state
		want  relation // for files with the digest "d"
	}{
		"no files are known":           {state{}, newFiles},
		"the service runs on them":     {state{phase: proven, runs: "d", judged: "d"}, judgedBefore},
		"they were refused":            {state{phase: proven, runs: "c", judged: "d"}, judgedBefore},
		"they replace refused ones":    {state{phase: proven, runs: "d", judged: "c"}, restored},
		"other files were refused":     {state{phase: proven, runs: "c", judged: "b"}, newFiles},
		"they wait for another target": {state{phase: proven, runs: "c", judged: "c", waits: "d"}, deferred},
		"they failed":                  {state{phase: unsettled, hold: &hold{digest: "d", until: now.Add(1)}}, held},
		"they failed a while ago":      {state{phase: unsettled, hold: &hold{digest: "d", until: now}}, newFiles},
		"other files failed":           {state{phase: unsettled, hold: &hold{digest: "c", until: now.Add(1)}}, newFiles},
	} {
		if got := tt.state.relation("d", now); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// The delay before the next try of the same files grows with each failure, until they are proven.
func TestFailingFilesAreRetriedLaterEachTime(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := state{phase: proven, runs: "c", judged: "c"}
	for _, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		s.fail("d", now)
		if got := s.hold.until.Sub(now); got != want*time.Second || s.phase != unsettled || s.relation("c", now) != newFiles {
			t.Errorf("delayed for %v in phase %s, want %d s", got, s.phase, want)
		}
	}
	s.prove("d")
	if s.hold != nil || s.relation("d", now) != judgedBefore {
		t.Errorf("after a proof, the state is %+v", s)
	}
}
