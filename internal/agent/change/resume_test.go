package change

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
)

// died is the value of the panic that ends the agent at a fault point.
type died string

// killedAt calls work, and ends the agent when it reaches a point. It reports whether it did.
func (bn *bench) killedAt(point string, work func()) (reached bool) {
	bn.point = func(name string) {
		if name == point {
			panic(died(name))
		}
	}
	defer func() {
		bn.point = nil
		switch r := recover().(type) {
		case nil:
		case died:
			reached = true
		default:
			panic(r)
		}
	}()
	work()
	return false
}

// restart starts a new agent with the same store.
func (bn *bench) restart() {
	bn.t.Helper()
	st, err := store.Open(bn.dir + "/store")
	if err != nil {
		bn.t.Fatal(err)
	}
	bn.Changer = New(Config{Targets: []target.Target{bn.a, bn.b}, Store: st, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if _, err := bn.Resume(); err != nil {
		bn.t.Fatal(err)
	}
}

// rest carries out changes until there are none.
func (bn *bench) rest() {
	bn.t.Helper()
	for range 10 {
		if ch, err := bn.round(); ch == nil && err == nil {
			return
		}
	}
	bn.t.Fatal("there are still changes after 10 rounds")
}

// consistent checks that services, files and store agree on one of two states, and that each change in the journal has one
// number and one verdict.
func (bn *bench) consistent(old, new string) {
	bn.t.Helper()
	if got := bn.a.runs + " " + bn.b.runs; got != old && got != new {
		bn.t.Errorf("the services run on %q, want %q or %q", got, old, new)
	}
	if got := bn.a.text() + " " + bn.b.text(); got != bn.a.runs+" "+bn.b.runs {
		bn.t.Errorf("the services run on %q %q, but the files contain %q", bn.a.runs, bn.b.runs, got)
	}
	goods, err := bn.store.Goods()
	if err != nil {
		bn.t.Fatal(err)
	}
	for name, s := range map[string]*service{"a": bn.a, "b": bn.b} {
		if goods[name].Files[0].Digest != store.Digest([]byte(s.runs)) {
			bn.t.Errorf("the last known good file of %s is not the one that its service runs on", name)
		}
	}
	changes, err := bn.store.Changes()
	if err != nil {
		bn.t.Fatal(err)
	}
	for i, ch := range changes {
		if ch.Number != i+1 || ch.Verdict == "" {
			bn.t.Errorf("the journal has %+v as entry %d", ch, i+1)
		}
	}
	if b, err := bn.store.Begun(); b != nil || err != nil {
		bn.t.Errorf("there is a record of an unfinished change: %+v, %v", b, err)
	}
	if st, err := bn.store.Staged(); st != nil || err != nil {
		bn.t.Errorf("there are staged files: %+v, %v", st, err)
	}
	bn.nothing()
}

func TestAgentKilledAtAnyPointEndsTheChange(t *testing.T) {
	points := []string{"validated", "begun", "taken a", "taken b", "proven", "committed", "written", "set aside", "restored a",
		"restored b", "restored", "taken back"}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			came := false
			for _, edit := range []string{"a2 b2", "a2 broken", "broken b2", "a2 bad"} {
				bn := newBench(t)
				a, b, _ := strings.Cut(edit, " ")
				bn.write(bn.a, a)
				bn.write(bn.b, b)
				if !bn.killedAt(point, func() { bn.round() }) {
					continue
				}
				came = true
				if point == "restored a" { // kill it again, at an earlier point
					bn.restart()
					bn.killedAt("begun", func() { bn.round() })
				}
				bn.restart()
				bn.rest()
				if edit == "a2 bad" && bn.b.text() == "bad" { // a refused file stays
					if bn.a.runs != "a1" || bn.b.runs != "b1" {
						t.Errorf("the services run on %q and %q, want a1 and b1", bn.a.runs, bn.b.runs)
					}
					continue
				}
				bn.consistent("a1 b1", "a2 b2")
				if edit == "a2 b2" && bn.a.runs != "a2" {
					t.Errorf("a good edit was lost: the service runs on %q", bn.a.runs)
				}
				if edit == "a2 broken" && fmt.Sprint(bn.aside(bn.a), bn.aside(bn.b)) != "[a2] [broken]" {
					t.Errorf("files set aside contain %v %v, want [a2] [broken]", bn.aside(bn.a), bn.aside(bn.b))
				}
			}
			if !came {
				t.Error("no change reaches this point")
			}
		})
	}
}

// If haproxy does not stay up on the files that the killed agent was about to prove, the new agent must not wait for it.
func TestCrashingServiceIsRolledBack(t *testing.T) {
	for _, point := range []string{"begun", "set aside", "restored a"} {
		bn := newBench(t)
		bn.a.down = true
		bn.write(bn.a, "a2")
		bn.a.onTake = func() { bn.a.onTake = nil; bn.write(bn.a, "a2 broken") } // the edit was bad from the beginning
		if point == "begun" {
			bn.killedAt(point, func() { bn.round() })
			bn.write(bn.a, "a2 broken")
		} else {
			bn.a.down = false
			bn.write(bn.a, "a2 broken")
			bn.killedAt(point, func() { bn.round() })
			bn.a.down = true
		}
		bn.a.onTake = nil
		bn.restart()
		bn.expect(journal.RolledBack, "a")
		bn.consistent("a1 b1", "a1 b1")
	}
}

func TestUnrecordedGoodChangeIsRecorded(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	if !bn.killedAt("committed", func() { bn.round() }) {
		t.Fatal("the agent did not reach its fault point")
	}
	bn.restart()
	changes, err := bn.store.Changes()
	if last := changes[len(changes)-1]; err != nil || last.Verdict != journal.Proven || fmt.Sprint(last.Targets) != "[a]" {
		t.Errorf("the last change in the journal is %+v, %v; want a proven one of a", last, err)
	}
	bn.consistent("a2 b1", "a2 b1")
}

// The files are written exactly as the first versions wrote them.
func TestStateOfOldAgentIsRead(t *testing.T) {
	bn := newBench(t)
	for name, text := range map[string]string{
		"journal.jsonl": `{"number":7,"time":"2026-01-02T03:04:05Z","targets":["a"],"verdict":"rolled back","reason":"a: it did not prove","took":"1.2s"}` + "\n",
		"change.json":   `{"number":8,"time":"2026-01-02T03:04:06Z","targets":["a","gone"],"back":true}` + "\n",
		"apply.json": fmt.Sprintf(`{"number":8,"files":[{"path":%q,"new":%q,"was":true,"digest":%q,"mode":416,"uid":%d,"gid":%d,"data":"YjA="}]}`+"\n",
			bn.b.file, store.Digest([]byte("b1, applied")), store.Digest([]byte("b0")), os.Getuid(), os.Getgid()),
	} {
		if err := os.WriteFile(filepath.Join(bn.dir, "store", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bn.write(bn.a, "a2")
	bn.write(bn.b, "b1, applied")
	bn.restart()
	if bn.targets[0].phase != returning || bn.targets[1].phase != proven {
		t.Errorf("the phase of a is %s and of b %s, want returning and proven", bn.targets[0].phase, bn.targets[1].phase)
	}
	if bn.b.text() != "b0" {
		t.Errorf("the apply was not undone: the file contains %q, want b0", bn.b.text())
	}
	changes, err := bn.store.Changes()
	if err != nil || len(changes) != 2 || changes[0].Verdict != journal.RolledBack || changes[1].Verdict != journal.Interrupted || changes[1].Number != 8 {
		t.Errorf("the journal has %+v, %v; want change 7 rolled back and change 8 interrupted", changes, err)
	}
	bn.rest()
	bn.runsOn("a1", "b0")
}
