package change

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/validator"
)

// saved begins a round after a was saved, and returns when its change had its verdict.
func (bn *bench) saved(events <-chan struct{}) (verdicts []journal.Verdict, took time.Duration) {
	bn.t.Helper()
	start := time.Now()
	err := bn.Round(bn.t.Context(), events, func(ch journal.Change) { verdicts = append(verdicts, ch.Verdict) })
	if err != nil {
		bn.t.Fatal(err)
	}
	return verdicts, time.Since(start)
}

func TestSettleWaitsForQuietButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		events := make(chan struct{}, 1)
		bn.write(bn.a, "a2")
		if verdicts, took := bn.saved(events); len(verdicts) != 1 || took != quiet {
			t.Errorf("without events: %v after %v, want %v", verdicts, took, quiet)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { // an editor that never stops
			defer close(stopped)
			tick := time.NewTicker(early / 2)
			defer tick.Stop()
			for {
				select {
				case events <- struct{}{}:
				case <-ctx.Done():
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
		bn.write(bn.a, "a3")
		if verdicts, took := bn.saved(events); len(verdicts) != 1 || took != longest {
			t.Errorf("under steady events: %v after %v, want %v", verdicts, took, longest)
		}
		cancel()
		<-stopped
		ended, end := context.WithCancel(t.Context())
		end()
		bn.write(bn.a, "a4")
		if changed, _, err := bn.settle(ended, make(chan struct{})); changed != nil || err != nil {
			t.Errorf("it settled though it was to end: %v, %v", changed, err)
		}
	})
}

// Files are judged while they settle, so that a validator costs no time of its own.
func TestFilesAreJudgedWhileTheySettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		asked := 0
		bn.a.onValidate = func() { asked++; time.Sleep(quiet - early) }
		bn.write(bn.a, "a2")
		if verdicts, took := bn.saved(nil); len(verdicts) != 1 || verdicts[0] != journal.Proven || took != quiet || asked != 1 {
			t.Errorf("%v after %v, judged %d times; want %v", verdicts, took, asked, quiet)
		}
		bn.runsOn("a2", "b1")
	})
}

// A verdict on bytes that did not stay says nothing of those that did, whether an event tells of them or not.
func TestAnEarlyVerdictHoldsForItsBytesOnly(t *testing.T) {
	for name, tell := range map[string]bool{"with an event": true, "without an event": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bn := newBench(t)
				events := make(chan struct{}, 1)
				bn.a.onValidate = func() {
					bn.a.onValidate = nil
					bn.write(bn.a, "bad") // after it was read
					if tell {
						events <- struct{}{}
					}
				}
				bn.a.answer = &validator.Answer{Verdict: validator.Good}
				bn.write(bn.a, "a2")
				if verdicts, _ := bn.saved(events); len(verdicts) != 1 || verdicts[0] != journal.Refused {
					t.Errorf("%v, want that it is refused", verdicts)
				}
				bn.runsOn("a1", "b1")
			})
		})
	}
}

// A target whose service does not run is not judged while its files settle.
func TestNoEarlyVerdictOfAServiceThatDoesNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		bn.a.stopped = true
		bn.a.onValidate = func() { t.Error("it is judged") }
		bn.write(bn.a, "a2")
		if err := bn.Round(t.Context(), nil, func(ch journal.Change) { t.Errorf("%+v", ch) }); err == nil {
			t.Error("it was taken over")
		}
	})
}

// A program that saves all the time does not cost a validator each time.
func TestEarlyVerdictsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		asked := 0
		bn.a.onValidate = func() { asked++ }
		events := make(chan struct{}, 1)
		bn.write(bn.a, "a2")
		go func() {
			for range 20 {
				events <- struct{}{}
				time.Sleep(quiet - early/2) // it is judged, and disturbed
			}
		}()
		if verdicts, took := bn.saved(events); len(verdicts) != 1 || took < longest/2 || asked > mostEarly+1 {
			t.Errorf("%v after %v, judged %d times", verdicts, took, asked)
		}
	})
}

func TestSettleWaitsForTheSameBytesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		go func() { // no event tells of it
			for _, text := range []string{"2", "3", "a4"} {
				bn.write(bn.a, text)
				time.Sleep(quiet - early)
			}
		}()
		synctest.Wait()
		got, known, err := bn.settle(t.Context(), nil)
		known.end()
		if err != nil || len(got) != 1 || string(got[0].snapshot.Files[0].Data) != "a4" {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}
