package change

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
)

// reach brings target a into each phase in the way that happens on a node.
var reach = map[phase]func(bn *bench){
	fresh: func(bn *bench) {
		bn.Changer.store, _ = store.Open(filepath.Join(bn.t.TempDir(), "new"))
		bn.targets[0].state = state{}
		bn.write(bn.a, "none") // this file gets no verdict
	},
	proven: func(*bench) {},
	unsettled: func(bn *bench) {
		bn.edited("a2")
	},
	returning: func(bn *bench) {
		bn.write(bn.a, "broken")
		bn.killedAt("restored a", func() { bn.round() })
		bn.restart()
	},
}

// edited saves a file, and saves it again while the service loads it.
func (bn *bench) edited(text string) {
	bn.write(bn.a, text)
	bn.a.onTake = func() { bn.a.onTake = nil; bn.write(bn.a, text+" again") }
	if ch, err := bn.round(); ch != nil || !errors.Is(err, ErrNoVerdict) {
		bn.t.Fatalf("round = %+v, %v; want no verdict", ch, err)
	}
}

// panicsAt makes the next change panic at a step.
func (bn *bench) panicsAt(step string) {
	bn.panics = &contain.Panics{}
	bn.point = func(name string) {
		if name == step {
			panic("at " + step)
		}
	}
	if ch, err := bn.round(); ch != nil || !contain.IsPanic(err) {
		bn.t.Fatalf("round = %+v, %v; want a panic", ch, err)
	}
	bn.point = nil
}

// cause makes each event happen to target a, in any phase.
var cause = map[event]func(bn *bench){
	proves: func(bn *bench) {
		if bn.targets[0].phase != returning {
			bn.write(bn.a, "a3")
			bn.expect(journal.Proven, "a")
			return
		}
		bn.expect(journal.RolledBack, "a")
	},
	judged: func(bn *bench) {
		if bn.targets[0].phase == proven {
			bn.write(bn.a, "bad")
			bn.expect(journal.Refused, "a")
			return
		}
		bn.Changer.store, _ = store.Open(filepath.Join(bn.t.TempDir(), "new")) // there are no last known good files
		bn.write(bn.a, "broken")
		bn.expect(journal.Failed, "a")
	},
	breaksOff: func(bn *bench) {
		if bn.targets[0].phase != returning {
			bn.edited("a4")
			return
		}
		bn.a.onTake = func() { bn.a.onTake = nil; bn.write(bn.a, "a4") } // an editor saves a file during the rollback
		bn.expect(journal.RolledBack, "a")
	},
	interrupted: func(bn *bench) {
		bn.write(bn.a, "a5")
		bn.panicsAt("taken a")
	},
	interruptedReturn: func(bn *bench) {
		bn.write(bn.a, "a6 broken")
		bn.panicsAt("set aside")
	},
	fails: func(bn *bench) {
		bn.write(bn.a, "a7 broken")
		bn.a.failing = true
		bn.expect(journal.Failed, "a")
		bn.a.failing = false
	},
}

// next checks what the agent does next, without another edit.
var next = map[event]func(bn *bench){
	proves: (*bench).nothing,
	judged: (*bench).nothing,
	breaksOff: func(bn *bench) {
		newer := bn.a.text()
		bn.expect(journal.Proven, "a")
		if bn.a.runs != newer {
			bn.t.Errorf("the service runs on %q, want the newer %q", bn.a.runs, newer)
		}
	},
	interrupted: func(bn *bench) {
		bn.expect(journal.Proven, "a")
		if bn.a.runs != "a5" {
			bn.t.Errorf("the service runs on %q, want a5", bn.a.runs)
		}
	},
	interruptedReturn: func(bn *bench) {
		bn.a.onTake = func() {
			if got := bn.a.text(); got != "a1" {
				bn.t.Errorf("the rollback loads %q, want a1", got)
			}
		}
		bn.expect(journal.RolledBack, "a")
		bn.a.onTake = nil
	},
	fails: (*bench).nothing, // until its next try is due
}

// TestTransitions takes a target through each transition of the table by a real change. In every phase, the next good edit
// must be proven at once.
func TestTransitions(t *testing.T) {
	for _, tt := range transitions {
		t.Run(tt.from.String()+"/"+tt.on.String(), func(t *testing.T) {
			t.Parallel()
			bn := newBench(t)
			clock := time.Now()
			reach[tt.from](bn)
			bn.now = func() time.Time { return clock }
			if got := bn.targets[0].phase; got != tt.from {
				t.Fatalf("before the event, the phase is %s, want %s", got, tt.from)
			}
			cause[tt.on](bn)
			if got := bn.targets[0].phase; got != tt.to {
				t.Errorf("after the event, the phase is %s, want %s", got, tt.to)
			}
			goods, err := bn.store.Goods()
			if _, has := goods["a"]; err != nil || bn.targets[0].phase == proven && !has {
				t.Errorf("the phase is proven without last known good files: %v, %v", goods, err)
			}
			next[tt.on](bn)
			clock = clock.Add(time.Hour)
			bn.write(bn.a, "a good edit")
			bn.expect(journal.Proven, "a")
			if bn.targets[0].phase != proven || bn.a.runs != "a good edit" {
				t.Errorf("after a good edit, the phase is %s and the service runs on %q", bn.targets[0].phase, bn.a.runs)
			}
		})
	}
}
