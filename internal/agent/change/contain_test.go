package change

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/journal"
)

// TestPanicAtEachStepOfAChange lets a change panic at each step. There must be no verdict, and the same files must be
// retried until they have one.
func TestPanicAtEachStepOfAChange(t *testing.T) {
	for _, tt := range []struct {
		text    string
		steps   []string
		verdict journal.Verdict
		runs    string
	}{
		{"a2", []string{"validated", "begun", "taken a", "proven", "committed", "written"}, journal.Proven, "a2"},
		{"a2 broken", []string{"validated", "begun", "set aside", "restored a", "restored", "taken back", "written"}, "", "a1"},
	} {
		for _, step := range tt.steps {
			t.Run(tt.text+"/"+step, func(t *testing.T) {
				t.Parallel()
				bn := newBench(t)
				before, err := bn.store.Changes()
				if err != nil {
					t.Fatal(err)
				}
				bn.panics = &contain.Panics{}
				bn.point = func(name string) {
					if name == step {
						panic("at " + step)
					}
				}
				bn.write(bn.a, tt.text)
				for range 2 {
					ch, err := bn.round()
					if ch != nil || !contain.IsPanic(err) || !errors.Is(err, ErrNoVerdict) {
						// The second try may find the good files restored already, and end without reaching the step.
						if tt.verdict == "" && err == nil {
							break
						}
						t.Fatalf("round = %+v, %v; want a panic and no verdict", ch, err)
					}
				}
				if got := bn.panics.List(); len(got) != 1 || got[0].Part != "a change of a" || got[0].Reason != "at "+step || got[0].Count > 2 {
					t.Errorf("reported panics: %+v", got)
				}
				bn.point = nil
				for range 3 {
					bn.round()
				}
				bn.runsOn(tt.runs, "b1")
				bn.nothing()
				if bn.a.text() != tt.runs {
					t.Errorf("the file contains %q, want %q", bn.a.text(), tt.runs)
				}
				if aside := bn.aside(bn.a); tt.runs == "a1" && (len(aside) == 0 || aside[0] != tt.text) {
					t.Errorf("files set aside contain %q, want %q", aside, tt.text)
				}
				after, err := bn.store.Changes()
				if err != nil || tt.verdict != "" && (len(after) == len(before) || after[len(after)-1].Verdict != tt.verdict) {
					t.Errorf("new changes in the journal: %+v, %v; want %s", after[len(before):], err, tt.verdict)
				}
			})
		}
	}
}

// If the proof of one target panics, the other target must still be changed, and the first one must be changed later.
func TestPanickingTargetDoesNotStopOthers(t *testing.T) {
	bn := newBench(t)
	bn.panics = &contain.Panics{}
	bn.targets[0].state = state{} // as if a was never proven
	bn.a.onTake = func() { panic("netip: As4 called on IPv6 address") }
	bn.write(bn.a, "a2")
	bn.write(bn.b, "b2")
	if ch, err := bn.round(); ch == nil || ch.Verdict != journal.Proven || fmt.Sprint(ch.Targets) != "[b]" || !contain.IsPanic(err) {
		t.Fatalf("round = %+v, %v; want b proven, and a panic", ch, err)
	}
	bn.a.onTake = nil
	bn.expect(journal.Proven, "a")
	bn.runsOn("a2", "b2")
}

// After a panic, an apply must restore the previous files.
func TestPanickingApplyRestoresFiles(t *testing.T) {
	for _, step := range []string{"staged", "put a.conf", "validated", "begun", "taken a", "proven"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			bn := newBench(t)
			bn.panics = &contain.Panics{}
			bn.point = func(name string) {
				if name == step {
					panic("at " + step)
				}
			}
			files := []File{{Path: bn.a.file, Data: []byte("a2")}, {Path: bn.b.file, Data: []byte("b2")}}
			if applied, err := bn.Apply(t.Context(), files); !contain.IsPanic(err) || applied.Change != nil {
				t.Fatalf("Apply = %+v, %v; want a panic and no change", applied, err)
			}
			if bn.a.text() != "a1" || bn.b.text() != "b1" {
				t.Errorf("the files contain %q and %q, want a1 and b1", bn.a.text(), bn.b.text())
			}
			bn.point = nil
			for range 2 {
				if _, err := bn.round(); err != nil {
					t.Error(err)
				}
			}
			bn.runsOn("a1", "b1")
			bn.nothing()
		})
	}
}
