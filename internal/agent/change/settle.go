package change

import (
	"context"
	"time"

	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/validator"
)

// How long files are left alone before they are taken over.
const (
	early   = 15 * time.Millisecond // without an event: then they are judged already
	quiet   = 50 * time.Millisecond // without an event, from the last one on
	longest = time.Second           // from the first event, however many more come
)

// mostEarly bounds how often files are judged that do not stay: a program that saves all the time must not cost a validator
// each time.
const mostEarly = 3

// settle waits until nothing has happened for a while and two looks at the targets see the same bytes. It has the files judged
// meanwhile: the verdict holds if they are still the same in the end. It returns no targets if nothing has changed in the end,
// or if ctx has ended.
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
		if err == nil && ctx.Err() == nil && same(changed, now) {
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

// happening is why a wait ended.
type happening int

const (
	undisturbed happening = iota
	disturbed             // by an event
	timeUp
	ending // ctx has ended
)

// wait waits until nothing has happened for a time. An event restarts it, or ends it.
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

func same(a, b []pending) bool {
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

// judgement is what the targets say of files that may not have settled yet.
type judgement struct {
	stop    func() // ends it, and waits until it has ended
	done    chan struct{}
	answers map[string]opinion // by target
}

// opinion is a target's answer about files of a digest.
type opinion struct {
	digest digest
	answer validator.Answer
}

// judgeEarly begins to have files judged. A target that cannot take anything over now is not asked.
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

// end ends it if it is there.
func (j *judgement) end() {
	if j != nil {
		j.stop()
	}
}

// of returns the answer about the files of a target. It is asked for now unless it is known of the same bytes.
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
