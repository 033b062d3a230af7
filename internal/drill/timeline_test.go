package drill

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/internal/spec"
)

// clock returns the time that is ms milliseconds after the strike.
func clock(ms float64) time.Time {
	strike := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return strike.Add(time.Duration(ms * float64(time.Millisecond)))
}

func clocks(ms ...float64) []time.Time {
	var out []time.Time
	for _, m := range ms {
		out = append(out, clock(m))
	}
	return out
}

func testWindow() window { return window{from: clock(-500), strike: clock(0), to: clock(3000)} }

func TestHoldings(t *testing.T) {
	spans := []lab.Span{
		{Host: "b", From: clock(-9000), To: clock(-8000)}, // ended before the window
		{Host: "a", From: clock(-8000), To: clock(20)},
		{Host: "b", From: clock(24), To: clock(2900)},
		{Host: "a", From: clock(2895)},
		{Host: "c", From: clock(3001)}, // begins after the end
	}
	got := testWindow().holdings(spans)
	want := []Holding{{"a", Stretch{-500, 20}}, {"b", Stretch{24, 2900}}, {"a", Stretch{2895, 3000}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := overlap(got); got != 5 {
		t.Errorf("overlap %v, want 5", got)
	}
	if at, ok := newHolder(got, "a"); at != 24 || !ok {
		t.Errorf("new holder at %v, %v", at, ok)
	}
	if at, ok := alone(got); at != 2900 || !ok {
		t.Errorf("alone since %v, %v", at, ok)
	}
}

func TestHoldingsThatDoNotMove(t *testing.T) {
	got := testWindow().holdings([]lab.Span{{Host: "a", From: clock(-8000)}})
	if _, ok := newHolder(got, "a"); ok || overlap(got) != 0 {
		t.Errorf("a VIP that did not move has a new holder, or two: %v", got)
	}
	if at, ok := alone(got); at != -500 || !ok {
		t.Errorf("alone since %v, %v", at, ok)
	}
}

// A node that lost the VIP and got it back is not a second holder. A paused node continues to hold its VIP for a moment:
// before the repair two holders are allowed, and after it only for a short time.
func TestJudge(t *testing.T) {
	c := &Cluster{Options: Options{Spec: &spec.Spec{}}}
	c.Spec.VRRP.AdvertInt = 250 * time.Millisecond
	for name, test := range map[string]struct {
		fault drilled
		until Millis // when the paused node stops holding
		o     Faults
		want  []string
	}{
		"together":     {drilled{}, 900, Faults{}, []string{"two holders of www for 300 ms, longer than an advertisement interval"}},
		"for a moment": {drilled{}, 840, Faults{}, nil},
		"apart":        {drilled{parted: true}, 3240, Faults{}, nil},
		"and not after": {drilled{parted: true}, 3260, Faults{},
			[]string{"two holders of www for 260 ms after the nodes could see each other again, longer than an advertisement interval"}},
		"a long gap":  {drilled{}, 600, Faults{MaxGap: 700 * time.Millisecond}, []string{"www gave no answer for 720 ms, longer than 700ms"}},
		"a gap as is": {drilled{}, 600, Faults{MaxGap: 720 * time.Millisecond}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := VIPRun{Name: "www", Gap: 720, Holdings: []Holding{{"a", Stretch{-500, test.until}}, {"b", Stretch{600, 4000}}}}
			v.Overlap = overlap(v.Holdings)
			run := Run{Repaired: 3000, VIPs: []VIPRun{v}}
			c.judge(&run, test.fault, test.o, nil)
			if diff := cmp.Diff(test.want, run.Problems); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestHoldersAt(t *testing.T) {
	holdings := []Holding{{"a", Stretch{-500, 20}}, {"b", Stretch{10, 900}}, {"a", Stretch{900, 2000}}}
	for at, want := range map[Millis][]string{-1: {"a"}, 15: {"a", "b"}, 500: {"b"}, 900: {"a"}, 3000: nil} {
		if got := holdersAt(holdings, at); !slices.Equal(got, want) {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
}

func TestOverlapOfOneNode(t *testing.T) {
	if got := overlap([]Holding{{"a", Stretch{0, 10}}, {"a", Stretch{5, 20}}}); got != 0 {
		t.Errorf("overlap %v, want 0", got)
	}
	if _, ok := alone([]Holding{{"a", Stretch{0, 10}}, {"b", Stretch{5, 10}}}); ok {
		t.Error("alone reports one holder although there are two")
	}
	if _, ok := alone(nil); ok {
		t.Error("alone reports a holder although there is none")
	}
}

func TestGaps(t *testing.T) {
	// Answers are out of order because requests overlap. Those outside the window belong to other runs.
	answers := clocks(-600, -490, -480, -470, 0, -240, 5, 130, 110, 140, 2990, 3100)
	gaps, longest := testWindow().gaps(answers)
	want := []Stretch{{-470, -240}, {-240, 0}, {5, 110}, {140, 2990}}
	if diff := cmp.Diff(want, gaps); diff != "" || longest != 2850 {
		t.Errorf("longest %v, -want +got:\n%s", longest, diff)
	}
}

// A gap before the strike is not counted.
func TestGapsBeforeTheStrike(t *testing.T) {
	var answers []time.Time
	for ms := -100.0; ms <= 3000; ms += 10 {
		answers = append(answers, clock(ms))
	}
	if gaps, longest := testWindow().gaps(answers); longest != 10 || len(gaps) != 1 {
		t.Errorf("longest %v of %v, want 10", longest, gaps)
	}
}

// A client without any answer has a gap up to the end.
func TestGapsWithoutAnyAnswer(t *testing.T) {
	gaps, longest := testWindow().gaps(nil)
	if diff := cmp.Diff([]Stretch{{-500, 3000}}, gaps); diff != "" || longest != 3500 {
		t.Errorf("longest %v, -want +got:\n%s", longest, diff)
	}
}

func TestLosses(t *testing.T) {
	got := testWindow().losses(clocks(-900, 10, 5, 15, 100, 3001))
	want := []Loss{{Stretch{5, 15}, 3}, {Stretch{100, 100}, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []Millis
		want   Millis
	}{{nil, 0}, {[]Millis{7}, 7}, {[]Millis{9, 1, 2}, 2}, {[]Millis{4, 1, 3, 2}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

// VIPs that the struck node did not hold are not counted, except for two holders.
func TestSummarize(t *testing.T) {
	run := func(gap, moved, other Millis, problems ...string) Run {
		return Run{Problems: problems, VIPs: []VIPRun{
			{Name: "a", Struck: true, Asked: true, Gap: gap, Moved: moved, Lost: int(gap / 5)},
			{Name: "b", Asked: true, Gap: 900, Overlap: other},
		}}
	}
	got := summarize(drilled{Fault: fault.Fault{Name: "f", Title: "F"}}, []Run{run(100, 80, 0), run(50, 0, 3), run(60, 40, 0)})
	got.Runs = nil
	want := Fault{Name: "f", Title: "F", GapMedian: 60, GapWorst: 100, Lost: 12, LostWorst: 20, Moved: 2, MovedMedian: 60, MovedWorst: 80, Overlap: 3, Good: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if summarize(drilled{}, []Run{run(1, 1, 0), run(1, 1, 0, "down")}).Good {
		t.Error("a fault with a problem is reported as good")
	}
}

func TestSteady(t *testing.T) {
	w := &watch{}
	for ms := 0.0; ms <= 600; ms += 5 {
		w.answers = append(w.answers, clock(ms))
	}
	for _, c := range []struct {
		now  float64
		want bool
	}{{600, true}, {740, true}, {760, false}, {200, false}, {5000, false}} {
		// At that time, only earlier answers are known.
		known := &watch{answers: before(w.answers, clock(c.now))}
		if got := known.steady(clock(c.now), servedFor); got != c.want {
			t.Errorf("at %v: %v, want %v", c.now, got, c.want)
		}
	}
}

func before(times []time.Time, limit time.Time) []time.Time {
	var out []time.Time
	for _, t := range times {
		if !t.After(limit) {
			out = append(out, t)
		}
	}
	return out
}
