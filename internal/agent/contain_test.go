package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
)

// A panic at any step of a change gives no verdict, and the same files are tried again until they have one.
func TestAPanicAtEachStepOfAChange(t *testing.T) {
	for _, tt := range []struct {
		text    string
		steps   []string
		verdict control.Verdict
		runs    string
	}{
		{"a2", []string{"validated", "begun", "taken a", "proven", "committed", "written"}, control.Proven, "a2"},
		{"a2 broken", []string{"validated", "begun", "set aside", "restored a", "restored", "taken back", "written"}, "", "a1"},
	} {
		for _, step := range tt.steps {
			t.Run(tt.text+"/"+step, func(t *testing.T) {
				bn := newBench(t)
				before, err := bn.store.Changes()
				if err != nil {
					t.Fatal(err)
				}
				bn.panics = &panics{}
				bn.point = func(name string) {
					if name == step {
						panic("at " + step)
					}
				}
				bn.write(bn.a, tt.text)
				for range 2 {
					ch, err := bn.round()
					if ch != nil || !isPanic(err) || !errors.Is(err, errNoVerdict) {
						// Its second try may find the good files in place again, and come by another way to its end.
						if tt.verdict == "" && err == nil {
							break
						}
						t.Fatalf("%+v, %v", ch, err)
					}
				}
				if got := bn.panics.list(); len(got) != 1 || got[0].Part != "a change of a" || got[0].Reason != "at "+step || got[0].Count > 2 {
					t.Errorf("the status has %+v", got)
				}
				bn.point = nil
				for range 3 {
					bn.round()
				}
				bn.runsOn(tt.runs, "b1")
				bn.nothing()
				if bn.a.text() != tt.runs {
					t.Errorf("%q is on the disk", bn.a.text())
				}
				if aside := bn.aside(bn.a); tt.runs == "a1" && (len(aside) == 0 || aside[0] != tt.text) {
					t.Errorf("set aside: %q", aside)
				}
				after, err := bn.store.Changes()
				if err != nil || tt.verdict != "" && (len(after) == len(before) || after[len(after)-1].Verdict != tt.verdict) {
					t.Errorf("the journal says %+v, %v", after[len(before):], err)
				}
			})
		}
	}
}

// A target that panics keeps neither the others from their changes nor itself from a later one.
func TestATargetThatPanics(t *testing.T) {
	bn := newBench(t)
	bn.panics = &panics{}
	delete(bn.runs, "a") // by itself
	delete(bn.judged, "a")
	bn.a.onTake = func() { panic("netip: As4 called on IPv6 address") }
	bn.write(bn.a, "a2")
	bn.write(bn.b, "b2")
	if ch, err := bn.round(); ch == nil || ch.Verdict != control.Proven || fmt.Sprint(ch.Targets) != "[b]" || !isPanic(err) {
		t.Fatalf("%+v, %v", ch, err)
	}
	bn.a.onTake = nil
	bn.expect(control.Proven, "a")
	bn.runsOn("a2", "b2")
}

// An apply that panics takes its files back.
func TestAnApplyThatPanics(t *testing.T) {
	for _, step := range []string{"staged", "put a.conf", "validated", "begun", "taken a", "proven"} {
		t.Run(step, func(t *testing.T) {
			bn := newBench(t)
			bn.panics = &panics{}
			bn.point = func(name string) {
				if name == step {
					panic("at " + step)
				}
			}
			files := []control.ApplyFile{{Path: bn.a.file, Data: []byte("a2")}, {Path: bn.b.file, Data: []byte("b2")}}
			if applied, err := bn.apply(t.Context(), files); !isPanic(err) || applied.Change != nil {
				t.Fatalf("%+v, %v", applied, err)
			}
			if bn.a.text() != "a1" || bn.b.text() != "b1" {
				t.Errorf("%q and %q are on the disk", bn.a.text(), bn.b.text())
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

// The same files are tried again later each time, others soon, and nothing at once.
func TestRetry(t *testing.T) {
	var r retry
	now := time.Now()
	files := "a"
	digest := func() string { return files }
	ok := func(want bool, after time.Duration) {
		t.Helper()
		if got := r.due(now.Add(after), digest); got != want {
			t.Errorf("due %v after the panic: %v, want %v", after, got, want)
		}
	}
	ok(true, 0)
	boom := fmt.Errorf("%w: %w", errNoVerdict, &panicError{"x", "y"})
	r.note(boom, now, digest)
	ok(false, 0)
	ok(true, firstRetry)
	r.note(boom, now, digest)
	ok(false, firstRetry)
	ok(true, 2*firstRetry)
	files = "b"
	ok(false, firstRetry/2)
	ok(true, firstRetry)
	for range 20 {
		r.note(boom, now, digest)
	}
	ok(false, lastRetry-1)
	ok(true, lastRetry)
	ok(true, -time.Hour)
	r.note(errNoVerdict, now, digest)
	ok(true, 0)
}

func TestKeepBeginsAgainLaterEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p panics
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var began []time.Time
		p.keep(ctx, "x", func(context.Context) {
			began = append(began, time.Now())
			panic("y")
		})
		if n := len(began); n < 10 || n > 25 {
			t.Fatalf("it began %d times in an hour", n)
		}
		for i, want := range []time.Duration{2, 4, 8} {
			if got := began[i+1].Sub(began[i]); got != want*time.Second {
				t.Errorf("it began again after %v, want %d s", got, want)
			}
		}
		if got := p.list(); len(got) != 1 || got[0].Count != len(began) {
			t.Errorf("the status has %+v", got)
		}
	})
}

// The stack is logged once a minute, however often the same panic comes.
func TestAPanicIsLoggedWithItsStack(t *testing.T) {
	var log strings.Builder
	now := time.Now()
	p := &panics{log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	for range 100 {
		p.guard("x", func() { thisOnePanics() })
	}
	if got := strings.Count(log.String(), "thisOnePanics"); got != 1 {
		t.Errorf("the stack is there %d times:\n%s", got, log.String())
	}
	now = now.Add(logAgain)
	p.guard("x", func() { thisOnePanics() })
	if got := strings.Count(log.String(), "thisOnePanics"); got != 2 || !strings.Contains(log.String(), "count=101") {
		t.Errorf("the stack is there %d times:\n%s", got, log.String())
	}
}

func thisOnePanics() { panic("on\npurpose") }

// However the tracker panics, its file does not stay as it was.
func TestATrackerThatPanics(t *testing.T) {
	f := newFakeHAProxy(t)
	dir := t.TempDir()
	tr := &tracker{file: filepath.Join(dir, "track"), socket: f.path, mark: filepath.Join(dir, "maintenance"), log: slog.New(slog.DiscardHandler),
		panics: &panics{}, point: func(string) { panic("it asks") }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tr.run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	says := func() string { b, _ := os.ReadFile(tr.file); return string(b) }
	until(t, "it answers", func() bool { return says() == "0\n" })
	until(t, "the tracker panics", func() bool { return len(tr.panics.list()) > 0 })
	f.silent.Store(true)
	until(t, "it is stuck", func() bool { return says() == "1\n" })
	f.silent.Store(false)
	until(t, "it answers again", func() bool { return says() == "0\n" })
	if got := tr.panics.list(); len(got) != 1 || got[0].Part != trackPart {
		t.Errorf("the status has %+v", got)
	}
}
