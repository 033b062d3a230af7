package change

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/validator"
)

// saved runs a round after a file was saved, and returns its verdicts and its duration.
func (bn *bench) saved(events <-chan struct{}) (verdicts []journal.Verdict, took time.Duration) {
	bn.t.Helper()
	start := time.Now()
	err := bn.Round(bn.t.Context(), events, func(ch journal.Change) { verdicts = append(verdicts, ch.Verdict) })
	if err != nil {
		bn.t.Fatal(err)
	}
	return verdicts, time.Since(start)
}

func TestSettlingWaitsForQuietUpToALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		events := make(chan struct{}, 1)
		bn.write(bn.a, "a2")
		if verdicts, took := bn.saved(events); len(verdicts) != 1 || took != quiet {
			t.Errorf("without events: verdicts %v after %v, want one after %v", verdicts, took, quiet)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { // an editor that saves all the time
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
			t.Errorf("with events all the time: verdicts %v after %v, want one after %v", verdicts, took, longest)
		}
		cancel()
		<-stopped
		ended, end := context.WithCancel(t.Context())
		end()
		bn.write(bn.a, "a4")
		if changed, _, err := bn.settle(ended, make(chan struct{})); changed != nil || err != nil {
			t.Errorf("settle with a canceled context = %v, %v; want no files", changed, err)
		}
	})
}

// Files are validated while they settle, so that validation takes no extra time.
func TestFilesAreValidatedWhileTheySettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		asked := 0
		bn.a.onValidate = func() { asked++; time.Sleep(quiet - early) }
		bn.write(bn.a, "a2")
		if verdicts, took := bn.saved(nil); len(verdicts) != 1 || verdicts[0] != journal.Proven || took != quiet || asked != 1 {
			t.Errorf("verdicts %v after %v, validated %d times; want proven after %v, validated once", verdicts, took, asked, quiet)
		}
		bn.runsOn("a2", "b1")
	})
}

// An early verdict on bytes that changed afterwards must not be used, with or without an event for the change.
func TestEarlyVerdictHoldsOnlyForItsBytes(t *testing.T) {
	for name, withEvent := range map[string]bool{"with an event": true, "without an event": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bn := newBench(t)
				events := make(chan struct{}, 1)
				bn.a.onValidate = func() {
					bn.a.onValidate = nil
					bn.write(bn.a, "bad") // after the agent has read the file
					if withEvent {
						events <- struct{}{}
					}
				}
				bn.a.answer = &validator.Answer{Verdict: validator.Good}
				bn.write(bn.a, "a2")
				if verdicts, _ := bn.saved(events); len(verdicts) != 1 || verdicts[0] != journal.Refused {
					t.Errorf("verdicts %v, want refused", verdicts)
				}
				bn.runsOn("a1", "b1")
			})
		})
	}
}

// If the service of a target does not run, its files are not validated while they settle.
func TestStoppedServiceGetsNoEarlyVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		bn.a.stopped = true
		bn.a.onValidate = func() { t.Error("the file was validated") }
		bn.write(bn.a, "a2")
		if err := bn.Round(t.Context(), nil, func(ch journal.Change) { t.Errorf("there was a change: %+v", ch) }); err == nil {
			t.Error("Round returned no error")
		}
	})
}

// A program that saves all the time must not cause a validation for each save.
func TestEarlyVerdictsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		asked := 0
		bn.a.onValidate = func() { asked++ }
		events := make(chan struct{}, 1)
		bn.write(bn.a, "a2")
		go func() {
			for range 20 {
				events <- struct{}{}
				time.Sleep(quiet - early/2) // late enough for an early validation, and too early for a change
			}
		}()
		if verdicts, took := bn.saved(events); len(verdicts) != 1 || took < longest/2 || asked > mostEarly+1 {
			t.Errorf("verdicts %v after %v, validated %d times", verdicts, took, asked)
		}
	})
}

func TestSettlingNeedsTheSameBytesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bn := newBench(t)
		go func() { // without an event
			for _, text := range []string{"2", "3", "a4"} {
				bn.write(bn.a, text)
				time.Sleep(quiet - early)
			}
		}()
		synctest.Wait()
		got, known, err := bn.settle(t.Context(), nil)
		known.end()
		if err != nil || len(got) != 1 || string(got[0].snapshot.Files[0].Data) != "a4" {
			t.Fatalf("settle = %+v, %v; want a4", got, err)
		}
	})
}
