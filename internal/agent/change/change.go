package change

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

// validateTime is the time limit of the test of one target's files.
const validateTime = 20 * time.Second

// ErrNoVerdict reports that the files were not judged. They are tried again later.
var ErrNoVerdict = errors.New("no verdict yet")

// ErrEnds reports that the agent ends during a change. The next agent continues the change.
var ErrEnds = fmt.Errorf("%w: the agent ends", ErrNoVerdict)

// step reports a step of a change to a test.
func (c *Changer) step(name string) {
	if c.point != nil {
		c.point(name)
	}
}

// change carries out one change of all targets that have new files: all or none. It returns ErrNoVerdict if a service does not
// run or the agent panicked. known holds opinions that early tests have already given; it may be nil. since is the time when
// the first new file was noticed.
func (c *Changer) change(ctx context.Context, changed []pending, known *judgement, since time.Time) (ch journal.Change, err error) {
	c.begun = nil
	err = c.panics.Contain("a change of "+strings.Join(names(changed), ", "), func() (err error) {
		ch, err = c.attempt(ctx, changed, known, since)
		return err
	})
	if contain.IsPanic(err) {
		c.interrupted(changed)
		return journal.Change{}, fmt.Errorf("%w: %w", ErrNoVerdict, err)
	}
	return ch, err
}

// interrupted records that a change panicked, in the same way as if the agent had died: see recall.
func (c *Changer) interrupted(changed []pending) {
	if c.begun == nil {
		return // the services were not touched
	}
	for _, p := range changed {
		p.leave(interruption(c.begun))
	}
}

// interruption is the event of a change that was begun and has no verdict.
func interruption(b *store.Begun) event {
	if b.Back {
		return interruptedReturn
	}
	return interrupted
}

// attempt is like change, but contains panics.
func (c *Changer) attempt(ctx context.Context, changed []pending, known *judgement, since time.Time) (journal.Change, error) {
	failing, err := c.ready(ctx, changed)
	if err != nil {
		return journal.Change{}, err
	}
	ch := journal.Change{Number: c.next(), Time: since.UTC(), Targets: names(changed)}
	verdict, reason, good := validator.Bad, failing, map[string]bool(nil)
	if failing == "" {
		verdict, reason, good = c.validate(ctx, changed, known)
	}
	c.step("validated")
	switch {
	case verdict == validator.None || verdict == validator.Bad && changed[0].refusal == reason:
		return journal.Change{}, fmt.Errorf("%w: %s", ErrNoVerdict, reason)
	case verdict == validator.Good:
		if err := c.carryOut(ctx, changed, &ch); err != nil {
			return journal.Change{}, err
		}
	case anyOf(changed, (*state).loose):
		// The services run on files that were never proven. If the new files are bad, the service must go back.
		ch.Verdict, ch.Reason = c.rollBack(ctx, changed, ch, errors.New(reason))
	default:
		ch.Verdict, ch.Reason = journal.Refused, reason
		c.refuse(changed, good, reason)
	}
	if ctx.Err() != nil && ch.Verdict == journal.Failed {
		return journal.Change{}, ErrEnds
	}
	if again := c.sameFailure(changed, ch); again != nil {
		return journal.Change{}, again
	}
	c.number = ch.Number
	ch.Took = c.now().Sub(since).Round(time.Millisecond).String()
	c.report(ch)
	c.step("written")
	if err := c.store.End(); err != nil {
		c.log.Error(err.Error())
	}
	return ch, nil
}

// ready returns the reason why the services cannot load files now. A service that fails on unproven files, or whose rollback
// was interrupted, must go back even if it fails: then its failure is the reason for the change.
func (c *Changer) ready(ctx context.Context, changed []pending) (failing string, err error) {
	if anyOf(changed, func(s *state) bool { return s.phase == returning }) {
		return "the agent ended during the rollback", nil
	}
	for _, p := range changed {
		switch err := p.Ready(ctx); {
		case errors.Is(err, target.ErrFailing) && p.loose() && p.hold == nil:
			failing = fmt.Sprintf("%s: %v on files that were never proven", p.Name(), err)
		case err != nil:
			return "", fmt.Errorf("%s: %w: %w", p.Name(), ErrNoVerdict, err)
		}
	}
	return failing, nil
}

// carryOut makes the services run on files that passed their test, and fills in the result.
func (c *Changer) carryOut(ctx context.Context, changed []pending, ch *journal.Change) error {
	c.begin(*ch, changed, false)
	c.step("begun")
	taken, err := c.take(ctx, changed)
	switch {
	case ctx.Err() != nil:
		return ErrEnds
	case errors.Is(err, systemd.ErrNotAsked), errors.Is(err, systemd.ErrLost), errors.Is(err, target.ErrNotRunning):
		// The failure says nothing about the files. Targets before this one run on their new files, and this one may: they stay
		// in one change until it has a verdict.
		if taken > 0 || errors.Is(err, systemd.ErrLost) {
			leave(changed, breaksOff)
		}
		return fmt.Errorf("%s: %w: %w", changed[taken].Name(), ErrNoVerdict, err)
	case err != nil:
		ch.Verdict, ch.Reason = c.rollBack(ctx, changed, *ch, fmt.Errorf("%s: %w", changed[taken].Name(), err))
		return nil
	}
	if same, err := c.unchanged(changed); err != nil || !same {
		// The files changed during the change, so it is not certain which ones were loaded. The newer files are the next
		// change.
		leave(changed, breaksOff)
		return fmt.Errorf("%w: the files changed again meanwhile", ErrNoVerdict)
	}
	c.step("proven")
	ch.Verdict, ch.Reason = c.commit(changed, ch.Number)
	c.step("committed")
	return nil
}

// validate tests the new files, and returns the targets whose files are good. One bad target makes the change bad. If one
// target cannot be tested, the change has no verdict.
func (c *Changer) validate(ctx context.Context, changed []pending, known *judgement) (verdict validator.Verdict, reason string, good map[string]bool) {
	verdict, good = validator.Good, map[string]bool{}
	var reasons []string
	for _, p := range changed {
		a := known.of(ctx, p)
		if a.Verdict == validator.Good {
			good[p.Name()] = true
			continue
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s: %s", p.Name(), a.Verdict, target.Shorten(a.Reason())))
		if verdict == validator.Good || a.Verdict == validator.Bad {
			verdict = a.Verdict
		}
	}
	if ctx.Err() != nil {
		return validator.None, "the agent ends", nil
	}
	return verdict, strings.Join(reasons, "; "), good
}

// take makes the services run on the new files, one after the other, and returns how many do. An error is about the next one.
func (c *Changer) take(ctx context.Context, changed []pending) (taken int, err error) {
	for i, p := range changed {
		since := p.snapshot.Changed
		if p.phase != fresh || since.After(c.now()) {
			since = time.Time{} // the service already runs on other files, or the clock was set back
		}
		tctx, cancel := context.WithTimeout(ctx, target.TakeTime)
		err := p.Take(tctx, since)
		cancel()
		if err != nil {
			return i, err
		}
		c.step("taken " + p.Name())
	}
	return len(changed), nil
}

// unchanged reports whether the files are still the same as those that were tested.
func (c *Changer) unchanged(changed []pending) (bool, error) {
	for _, p := range changed {
		s, err := target.Read(p.Paths())
		if err != nil || s.Digest != p.snapshot.Digest {
			return false, err
		}
	}
	return true, nil
}

func names(changed []pending) []string {
	var all []string
	for _, p := range changed {
		all = append(all, p.Name())
	}
	return all
}

// anyOf reports whether a condition holds for at least one of the targets.
func anyOf(changed []pending, is func(*state) bool) bool {
	return slices.ContainsFunc(changed, func(p pending) bool { return is(&p.state) })
}

// leave records an event for all targets after which it is not known what their services run on.
func leave(changed []pending, e event) {
	for _, p := range changed {
		p.leave(e)
	}
}
