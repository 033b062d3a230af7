package change

import (
	"context"
	"time"

	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/validator"
)

// How long files must be unchanged before they are loaded.
const (
	early   = 15 * time.Millisecond // without an event, before an early test of the files begins
	quiet   = 50 * time.Millisecond // without an event, before the files are loaded
	longest = time.Second           // after the first event, even if events continue
)

// mostEarly is the maximum number of early tests of files that change again, so that a program that saves repeatedly does not
// cost a test each time.
const mostEarly = 3

// settle waits until there was no event for a while and two looks at the targets show the same files. Meanwhile it has the
// files tested: the result is used if the files are still the same. It returns no targets if nothing has changed, or if ctx has
// ended.
func (c *Changer) settle(ctx context.Context, events <-chan struct{}) ([]pending, *judgement, error) {
	end := time.NewTimer(longest)
	defer end.Stop()
	for n := 0; ; n++ {
		over := wait(ctx, events, end.C, early, true) != undisturbed
		changed, err := c.look()
		if err != nil || len(changed) == 0 || ctx.Err() != nil {
			return nil, nil, err
		}
		if over {
			return changed, nil, nil
		}
		var j *judgement
		if n < mostEarly {
			j = c.judgeEarly(ctx, changed)
		}
		happened := wait(ctx, events, end.C, quiet-early, false)
		if happened == disturbed {
			j.end()
			continue
		}
		now, err := c.look()
		if err == nil && ctx.Err() == nil && samePending(changed, now) {
			return now, j, nil
		}
		j.end()
		if err != nil || len(now) == 0 || ctx.Err() != nil {
			return nil, nil, err
		}
		if happened == timeUp {
			return now, nil, nil
		}
	}
}

// happening is the reason why a wait ended.
type happening int

const (
	undisturbed happening = iota
	disturbed             // by an event
	timeUp
	ending // ctx has ended
)

// wait waits until there was no event for a time. An event restarts or ends it.
func wait(ctx context.Context, events <-chan struct{}, end <-chan time.Time, calm time.Duration, restart bool) happening {
	t := time.NewTimer(calm)
	defer t.Stop()
	for {
		select {
		case <-events:
			if !restart {
				return disturbed
			}
			t.Reset(calm)
		case <-t.C:
			return undisturbed
		case <-end:
			return timeUp
		case <-ctx.Done():
			return ending
		}
	}
}

// samePending reports whether two lists have the same targets with the same content.
func samePending(a, b []pending) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name() != b[i].Name() || a[i].digest() != b[i].digest() {
			return false
		}
	}
	return true
}

// judgement is a test of files that may still change.
type judgement struct {
	stop    func() // ends it, and waits for its end
	done    chan struct{}
	answers map[string]opinion // by target
}

// opinion is a target's test result for the files with a digest.
type opinion struct {
	digest digest
	answer validator.Answer
}

// judgeEarly starts a test of the files. Targets that cannot load files now are left out.
func (c *Changer) judgeEarly(ctx context.Context, changed []pending) *judgement {
	ctx, cancel := context.WithCancel(ctx)
	j := &judgement{done: make(chan struct{}), answers: map[string]opinion{}}
	j.stop = func() { cancel(); <-j.done }
	go func() {
		defer close(j.done)
		c.panics.Guard("an early judgement", func() {
			for _, p := range changed {
				if p.Ready(ctx) == nil {
					j.answers[p.Name()] = opinion{p.digest(), judge(ctx, p)}
				}
			}
		})
	}()
	return j
}

// end ends the test, if there is one.
func (j *judgement) end() {
	if j != nil {
		j.stop()
	}
}

// of returns the test result for the files of a target. It runs the test now, unless the same files were tested early.
func (j *judgement) of(ctx context.Context, p pending) validator.Answer {
	if j != nil {
		<-j.done
		if o, ok := j.answers[p.Name()]; ok && o.digest == p.digest() {
			return o.answer
		}
	}
	return judge(ctx, p)
}

func judge(ctx context.Context, p pending) validator.Answer {
	ctx, cancel := context.WithTimeout(ctx, validateTime)
	defer cancel()
	return target.Judge(ctx, p.Target)
}
