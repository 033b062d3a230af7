// Package contain keeps a panic in one part of the daemon from ending the others: it logs and counts the panic, and tries the
// part again later.
package contain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Panics contains panics in parts of the daemon, and counts them by part. The zero value does not log; a nil *Panics contains
// nothing.
type Panics struct {
	Log *slog.Logger
	Now func() time.Time

	mu    sync.Mutex
	parts map[string]*panicked
}

// Panic summarizes the panics of one part.
type Panic struct {
	Part   string
	Reason string // of the last one
	Count  int
	Last   time.Time
}

// panicked is the record of one part.
type panicked struct {
	Panic
	logged  time.Time // when its stack was last logged
	because string    // the reason that was logged
}

// logAgain is the time between two log entries with the stack of the same panic.
const logAgain = time.Minute

// panicError is a panic that was contained.
type panicError struct {
	part, reason string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic in %s: %s", e.part, e.reason) }

// IsPanic reports whether an error is a contained panic or wraps one.
func IsPanic(err error) bool {
	var p *panicError
	return errors.As(err, &p)
}

// Contain calls f. A panic in it is logged with its stack, counted, and returned as an error.
func (p *Panics) Contain(part string, f func() error) (err error) {
	if p == nil {
		return f()
	}
	defer func() {
		if v := recover(); v != nil {
			err = p.note(part, v, debug.Stack())
		}
	}()
	return f()
}

// Guard is like Contain, for a function without an error.
func (p *Panics) Guard(part string, f func()) {
	_ = p.Contain(part, func() error { f(); return nil })
}

// note counts a panic and logs it. The same panic is logged at most once a minute.
func (p *Panics) note(part string, v any, stack []byte) error {
	err := &panicError{part, oneLine(fmt.Sprint(v))}
	now := time.Now()
	if p.Now != nil {
		now = p.Now()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts == nil {
		p.parts = map[string]*panicked{}
	}
	one := p.parts[part]
	if one == nil {
		one = &panicked{Panic: Panic{Part: part}}
		p.parts[part] = one
	}
	one.Count++
	one.Reason, one.Last = err.reason, now.UTC()
	if p.Log != nil && (one.because != err.reason || now.Sub(one.logged).Abs() >= logAgain) {
		one.because, one.logged = err.reason, now
		p.Log.Error("a part of the agent panicked; the others continue", "part", part, "panic", err.reason, "count", one.Count, "stack", string(stack))
	}
	return err
}

// oneLine shortens the text of a panic, which can be as long as a file.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// List returns the parts that have panicked since the daemon started, sorted by name.
func (p *Panics) List() []Panic {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Panic
	for _, one := range p.parts {
		all = append(all, one.Panic)
	}
	slices.SortFunc(all, func(a, b Panic) int { return strings.Compare(a.Part, b.Part) })
	return all
}

// How soon a part that has panicked is tried again: later each time.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 5 * time.Minute
)

// Keep runs a part of the daemon until it returns or ctx ends. After a panic it starts it again, later each time.
func (p *Panics) Keep(ctx context.Context, part string, f func(ctx context.Context)) {
	delay := firstRetry
	for {
		began := time.Now()
		if p.Contain(part, func() error { f(ctx); return nil }) == nil || ctx.Err() != nil {
			return
		}
		if time.Since(began) > lastRetry {
			delay = firstRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		delay = min(2*delay, lastRetry)
	}
}

// Retry delays rounds after one that panicked: longer each time for the same files, and by firstRetry for other files, so that
// a round which changes files itself is not repeated without a pause. The zero value delays nothing.
type Retry struct {
	delay  time.Duration // 0: the last round did not panic
	failed time.Time
	files  string
}

// Note records the result of a round over files with a digest.
func (r *Retry) Note(err error, now time.Time, files func() string) {
	if !IsPanic(err) {
		*r = Retry{}
		return
	}
	*r = Retry{delay: min(max(2*r.delay, firstRetry), lastRetry), failed: now, files: files()}
}

// Due reports whether a round may begin.
func (r *Retry) Due(now time.Time, files func() string) bool {
	since := now.Sub(r.failed)
	switch {
	case r.delay == 0 || since >= r.delay || since < 0: // the clock was set back
		return true
	case since < firstRetry:
		return false
	}
	return files() != r.files
}
