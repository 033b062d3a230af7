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

func TestAChangeToWhatIsNotARegularFileIsRefused(t *testing.T) {
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
					t.Errorf("got %+v, %v", ch, err)
				}
				if ch, err := bn.round(); ch != nil || err != nil {
					t.Errorf("it is judged again: %+v, %v", ch, err)
				}
			})
			bn.runsOn("a1", "b1")
			// A regular file is taken over again.
			if err := os.Remove(bn.a.file); err != nil {
				t.Fatal(err)
			}
			bn.write(bn.a, "a2")
			bn.expect(journal.Proven, "a")
			bn.runsOn("a2", "b1")
		})
	}
}

// The services were being taken through a change when the agent died, and then the file became something else.
func TestARollbackSetsAsideWhatIsNotARegularFile(t *testing.T) {
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
				t.Errorf("set aside: %v", aside)
			}
		})
	}
}

// An apply without a verdict is taken back at the next start, which must come also if its file is a FIFO by then.
func TestAnAgentStartsThoughAFileOfAnApplyIsAFIFO(t *testing.T) {
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
