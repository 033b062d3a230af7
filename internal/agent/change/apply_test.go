package change

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/target"
)

func (bn *bench) applies(a, b string) (Applied, error) {
	bn.t.Helper()
	return bn.Apply(bn.t.Context(), []File{{Path: bn.b.file, Data: []byte(b)}, {Path: bn.a.file, Data: []byte(a)}})
}

func TestApplyTakesAllFilesOrNone(t *testing.T) {
	for _, tt := range []struct {
		a, b    string
		verdict journal.Verdict
	}{{"a2", "b2", journal.Proven}, {"a2", "bad", journal.Refused}, {"a2", "broken", journal.RolledBack}, {"broken", "b2", journal.RolledBack}} {
		t.Run(tt.a+" "+tt.b, func(t *testing.T) {
			t.Parallel()
			bn := newBench(t)
			for range 2 { // the second time, the same bytes must get a verdict again or be unchanged
				done, err := bn.applies(tt.a, tt.b)
				if err != nil {
					t.Fatal(err)
				}
				if done.Unchanged {
					break
				}
				if done.Change == nil || done.Change.Verdict != tt.verdict || fmt.Sprint(done.Change.Targets) != "[a b]" {
					t.Fatalf("change %+v, want %s of [a b]", done.Change, tt.verdict)
				}
			}
			want := "a1 b1"
			if tt.verdict == journal.Proven {
				want = "a2 b2"
			}
			bn.consistent(want, want)
		})
	}
}

func TestApplyWithoutAVerdictChangesNothing(t *testing.T) {
	bn := newBench(t)
	bn.b.stopped = true
	if done, err := bn.applies("a2", "b2"); !errors.Is(err, target.ErrNotRunning) {
		t.Fatalf("Apply = %+v, %v; want ErrNotRunning", done, err)
	}
	bn.b.stopped = false
	bn.consistent("a1 b1", "a1 b1")
	if done, err := bn.applies("a1", "b1"); err != nil || !done.Unchanged {
		t.Errorf("Apply of the same files = %+v, %v; want it unchanged", done, err)
	}
}

func TestApplyReportsFilesOfNoTarget(t *testing.T) {
	bn := newBench(t)
	foreign := filepath.Join(bn.dir, "shadow")
	done, err := bn.Apply(t.Context(), []File{{Path: bn.a.file, Data: []byte("a2")}, {Path: foreign, Data: []byte("x")}})
	if err != nil || !strings.Contains(done.Refused, foreign) || strings.Contains(done.Refused, bn.a.file) {
		t.Errorf("Apply = %+v, %v; want a refusal that names only %s", done, err, foreign)
	}
	if _, err := os.Stat(foreign); err == nil {
		t.Error("the file of no target was written")
	}
	bn.consistent("a1 b1", "a1 b1")
}

// An edit that was refused belongs to the user. A refused apply must restore it, and a proven one must keep it under another
// name.
func TestApplyKeepsRefusedEdits(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "bad, but mine")
	bn.expect(journal.Refused, "a")
	if done, err := bn.applies("a2", "broken"); err != nil || done.Change.Verdict != journal.RolledBack {
		t.Fatalf("Apply of a broken file = %+v, %v; want it rolled back", done, err)
	}
	if got := bn.a.text(); got != "bad, but mine" {
		t.Errorf("after the rollback, the file contains %q, want the refused edit", got)
	}
	bn.nothing()
	if done, err := bn.applies("a2", "b2"); err != nil || done.Change.Verdict != journal.Proven {
		t.Fatalf("Apply of good files = %+v, %v; want them proven", done, err)
	}
	if got := fmt.Sprint(bn.aside(bn.a)); !strings.Contains(got, "bad, but mine") {
		t.Errorf("files set aside contain %s, want the refused edit", got)
	}
	bn.consistent("a2 b2", "a2 b2")
}

func TestKilledApplyTakesAllFilesOrNone(t *testing.T) {
	for _, point := range []string{"staged", "put a.conf", "put b.conf", "validated", "begun", "taken a", "taken b", "proven",
		"committed", "written", "set aside", "restored a", "restored", "taken back"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			came := false
			for _, b := range []string{"b2", "broken"} {
				bn := newBench(t)
				if !bn.killedAt(point, func() { bn.applies("a2", b) }) {
					continue
				}
				came = true
				bn.restart()
				bn.rest()
				bn.consistent("a1 b1", "a2 b2")
			}
			if !came {
				t.Error("no apply reaches this point")
			}
		})
	}
}
