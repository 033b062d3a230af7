package change

import (
	"testing"
	"time"
)

func TestStanding(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		state state
		want  standing // of files with the digest "d"
	}{
		"nothing is known":             {state{}, news},
		"they run":                     {state{phase: proven, runs: "d", judged: "d"}, decided},
		"they were refused":            {state{phase: proven, runs: "c", judged: "d"}, decided},
		"they are back":                {state{phase: proven, runs: "d", judged: "c"}, takenBack},
		"others were refused":          {state{phase: proven, runs: "c", judged: "b"}, news},
		"they wait for another target": {state{phase: proven, runs: "c", judged: "c", waits: "d"}, waiting},
		"they failed":                  {state{phase: unsettled, hold: &hold{digest: "d", until: now.Add(1)}}, held},
		"they failed a while ago":      {state{phase: unsettled, hold: &hold{digest: "d", until: now}}, news},
		"others failed":                {state{phase: unsettled, hold: &hold{digest: "c", until: now.Add(1)}}, news},
	} {
		if got := tt.state.standing("d", now); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// The same files are tried again later each time, until they prove.
func TestFailingFilesAreHeldLongerEachTime(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := state{phase: proven, runs: "c", judged: "c"}
	for _, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		s.fail("d", now)
		if got := s.hold.until.Sub(now); got != want*time.Second || s.phase != unsettled || s.standing("c", now) != news {
			t.Errorf("held for %v in phase %s, want %d s", got, s.phase, want)
		}
	}
	s.prove("d")
	if s.hold != nil || s.standing("d", now) != decided {
		t.Errorf("after a proof: %+v", s)
	}
}
