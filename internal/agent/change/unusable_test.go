package change

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/testing/unusable"
)

func TestIrregularFileIsRefused(t *testing.T) {
	for name, put := range unusable.Kinds {
		t.Run(name, func(t *testing.T) {
			bn := newBench(t)
			if err := os.Remove(bn.a.file); err != nil {
				t.Fatal(err)
			}
			if err := put(bn.a.file); err != nil {
				t.Fatal(err)
			}
			unusable.Within(t, func() {
				ch, err := bn.round()
				if err != nil || ch == nil || ch.Verdict != journal.Refused || !strings.Contains(ch.Reason, bn.a.file) {
					t.Errorf("round = %+v, %v; want a refusal that names %s", ch, err, bn.a.file)
				}
				if ch, err := bn.round(); ch != nil || err != nil {
					t.Errorf("the second round = %+v, %v; want no change", ch, err)
				}
			})
			bn.runsOn("a1", "b1")
			// A regular file must be taken again.
			if err := os.Remove(bn.a.file); err != nil {
				t.Fatal(err)
			}
			bn.write(bn.a, "a2")
			bn.expect(journal.Proven, "a")
			bn.runsOn("a2", "b1")
		})
	}
}

// The agent dies while the services load a change. Then the file is replaced by something that is not a regular file.
func TestRollbackSetsIrregularFileAside(t *testing.T) {
	for name, put := range unusable.Kinds {
		t.Run(name, func(t *testing.T) {
			bn := newBench(t)
			bn.write(bn.a, "a2")
			if !bn.killedAt("taken a", func() { bn.round() }) {
				t.Fatal("the agent did not die")
			}
			if err := os.Remove(bn.a.file); err != nil {
				t.Fatal(err)
			}
			if err := put(bn.a.file); err != nil {
				t.Fatal(err)
			}
			unusable.Within(t, func() {
				bn.restart()
				bn.rest()
			})
			bn.runsOn("a1", "b1")
			if aside, _ := filepath.Glob(bn.a.file + ".rejected-*"); len(aside) != 1 {
				t.Errorf("files set aside: %v, want one", aside)
			}
		})
	}
}

// An apply without a verdict is undone at the next start. The agent must start even if its file has become a FIFO.
func TestAgentStartsAlthoughAnAppliedFileIsAFIFO(t *testing.T) {
	bn := newBench(t)
	if err := bn.store.Stage(store.Staged{Number: 9, Files: []store.StagedFile{{Path: bn.a.file, New: "x", Was: true}}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(bn.a.file); err != nil {
		t.Fatal(err)
	}
	if err := unusable.Kinds["a FIFO"](bn.a.file); err != nil {
		t.Fatal(err)
	}
	unusable.Within(t, bn.restart)
}
