package contain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errOther = errors.New("no panic")

// After a panic, the same files are retried later each time, and other files soon.
func TestRetry(t *testing.T) {
	var r Retry
	now := time.Now()
	files := "a"
	digest := func() string { return files }
	ok := func(want bool, after time.Duration) {
		t.Helper()
		if got := r.Due(now.Add(after), digest); got != want {
			t.Errorf("retry of the same files %v after the panic: %v, want %v", after, got, want)
		}
	}
	ok(true, 0)
	boom := fmt.Errorf("%w: %w", errOther, &panicError{"x", "y"})
	r.Note(boom, now, digest)
	ok(false, 0)
	ok(true, firstRetry)
	r.Note(boom, now, digest)
	ok(false, firstRetry)
	ok(true, 2*firstRetry)
	files = "b"
	ok(false, firstRetry/2)
	ok(true, firstRetry)
	for range 20 {
		r.Note(boom, now, digest)
	}
	ok(false, lastRetry-1)
	ok(true, lastRetry)
	ok(true, -time.Hour)
	r.Note(errOther, now, digest)
	ok(true, 0)
}

func TestKeepRestartsLaterEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Panics
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var began []time.Time
		p.Keep(ctx, "x", func(context.Context) {
			began = append(began, time.Now())
			panic("y")
		})
		if n := len(began); n < 10 || n > 25 {
			t.Fatalf("the part was started %d times in an hour", n)
		}
		for i, want := range []time.Duration{2, 4, 8} {
			if got := began[i+1].Sub(began[i]); got != want*time.Second {
				t.Errorf("the part was restarted after %v, want %d s", got, want)
			}
		}
		if got := p.List(); len(got) != 1 || got[0].Count != len(began) {
			t.Errorf("reported panics: %+v", got)
		}
	})
}

// The stack of a panic is logged at most once a minute.
func TestPanicIsLoggedWithItsStack(t *testing.T) {
	var log strings.Builder
	now := time.Now()
	p := &Panics{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }}
	for range 100 {
		p.Guard("x", func() { thisOnePanics() })
	}
	if got := strings.Count(log.String(), "thisOnePanics"); got != 1 {
		t.Errorf("within a minute, the stack was logged %d times:\n%s", got, log.String())
	}
	now = now.Add(logAgain)
	p.Guard("x", func() { thisOnePanics() })
	if got := strings.Count(log.String(), "thisOnePanics"); got != 2 || !strings.Contains(log.String(), "count=101") {
		t.Errorf("after a minute, the stack was logged %d times:\n%s", got, log.String())
	}
}

func thisOnePanics() { panic("on\npurpose") }
