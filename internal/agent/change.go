package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/tool"
)

// validateTime bounds the judgement of one target's files.
const validateTime = 20 * time.Second

// changer carries out changes, one at a time.
type changer struct {
	targets []target.Target // in the order in which they are reloaded: what another needs comes first
	store   *store.Store
	log     *slog.Logger
	now     func() time.Time
	// point is called with the name of each step of a change; nil: it is not. A test ends the agent there.
	point func(name string)

	// judged is the digest that each target had when the last verdict was given: unchanged bytes are no change.
	judged map[string]string
	// runs is the digest that each target runs on, as far as it was proven.
	runs map[string]string
	// waits is the digest of each target that was refused only because of another one in the same change. It comes along
	// with the next change of any.
	waits  map[string]string
	number int // of the last change
	// told is why files of a target were refused that are looked at again.
	told map[string]string
	// held are targets that do not prove even on their last known good files: they are tried again later.
	held map[string]hold
	// back are targets that the last agent had begun to take back to their last known good files.
	back map[string]bool
	// owed is what could not be written yet: the disk is full, for instance.
	owed debts

	panics *contain.Panics
	begun  *store.Begun // what the change that is carried out now has begun; nil: nothing yet
}

// newChanger is a changer that knows nothing yet: see resume.
func newChanger(s *store.Store, log *slog.Logger, now func() time.Time, targets []target.Target) *changer {
	return &changer{store: s, log: log, now: now, targets: targets, judged: map[string]string{}, runs: map[string]string{},
		waits: map[string]string{}, told: map[string]string{}, held: map[string]hold{}, back: map[string]bool{}}
}

// pending is a target whose files are other than those of the last verdict.
type pending struct {
	target.Target
	snapshot target.Snapshot
}

// errNoVerdict says that nothing was judged: the same files are looked at again later.
var errNoVerdict = errors.New("no verdict yet")

// look finds the targets whose files have changed since the last verdict, and those that wait for them.
func (c *changer) look() ([]pending, error) {
	var changed []pending
	news := false
	for _, t := range c.targets {
		s, err := target.Read(t.Paths())
		if err != nil {
			return nil, err
		}
		switch name := t.Name(); s.Digest {
		case c.judged[name]:
		case c.runs[name]: // what was refused was taken back
			c.judged[name] = s.Digest
			delete(c.waits, name)
			news = true
		case c.waits[name]:
			changed = append(changed, pending{t, s})
		default:
			if c.holds(name, s.Digest) {
				continue
			}
			changed = append(changed, pending{t, s})
			news = true
		}
	}
	if !news {
		return nil, nil
	}
	return changed, nil
}

// groups are the changes that the new files make: one of all together, but a target that runs on nothing proven yet is
// taken over by itself. One whose service does not run, or whose files are bad, does not keep the others from their first
// proof. And those that a change was broken off for stay together: they run on nobody knows what, and must come to an end
// of it whatever else was edited.
func (c *changer) groups(changed []pending) [][]pending {
	var groups [][]pending
	var together, loose []pending
	for _, p := range changed {
		switch c.runs[p.Name()] {
		case "":
			groups = append(groups, []pending{p})
		case unproven:
			loose = append(loose, p)
		default:
			together = append(together, p)
		}
	}
	for _, g := range [][]pending{loose, together} {
		if g != nil {
			groups = append(groups, g)
		}
	}
	return groups
}

// step tells that a step of a change is done.
func (c *changer) step(name string) {
	if c.point != nil {
		c.point(name)
	}
}

// change carries out one change of all targets that have new files: all or none. It returns errNoVerdict if a service
// does not run, or if the agent panicked, and a change otherwise. since is when the first of it was noticed.
func (c *changer) change(ctx context.Context, changed []pending, since time.Time) (ch control.Change, err error) {
	c.begun = nil
	err = c.panics.Contain("a change of "+strings.Join(names(changed), ", "), func() (err error) {
		ch, err = c.attempt(ctx, changed, since)
		return err
	})
	if contain.IsPanic(err) {
		c.interrupted(changed)
		return control.Change{}, fmt.Errorf("%w: %w", errNoVerdict, err)
	}
	return ch, err
}

// interrupted leaves a change that panicked as an agent finds one that died in the middle of it: see recall.
func (c *changer) interrupted(changed []pending) {
	if c.begun == nil {
		return // the services run on what they ran on
	}
	c.unsettle(changed)
	for _, p := range changed {
		if c.runs[p.Name()] == unproven {
			c.back[p.Name()] = c.begun.Back
		}
	}
}

// attempt is change, which contains its panics.
func (c *changer) attempt(ctx context.Context, changed []pending, since time.Time) (control.Change, error) {
	failing, err := c.ready(ctx, changed)
	if err != nil {
		return control.Change{}, err
	}
	ch := control.Change{Number: c.next(), Time: since.UTC(), Targets: names(changed)}
	verdict, reason, good := tool.Bad, failing, map[string]bool(nil)
	if failing == "" {
		verdict, reason, good = c.validate(ctx, changed)
	}
	c.step("validated")
	switch {
	case verdict == tool.None || verdict == tool.Bad && c.told[changed[0].Name()] == reason:
		return control.Change{}, fmt.Errorf("%w: %s", errNoVerdict, reason)
	case verdict == tool.Good:
		if err := c.carryOut(ctx, changed, &ch); err != nil {
			return control.Change{}, err
		}
	case c.loose(changed):
		// The services run on bytes that were never proven: bad ones are no reason to leave it at that.
		ch.Verdict, ch.Reason = c.rollBack(ctx, changed, ch, errors.New(reason))
	default:
		ch.Verdict, ch.Reason = control.Refused, reason
		c.refuse(changed, good, reason)
	}
	if ctx.Err() != nil && ch.Verdict == control.Failed {
		return control.Change{}, errEnds
	}
	if again := c.sameFailure(changed, ch); again != nil {
		return control.Change{}, again
	}
	c.number = ch.Number
	ch.Took = c.now().Sub(since).Round(time.Millisecond).String()
	c.tell(ch)
	c.step("written")
	if err := c.store.End(); err != nil {
		c.log.Error(err.Error())
	}
	return ch, nil
}

// ready tells whether the services can take anything over. One that does not stay up on files which were never proven, or
// was on its way back when the last agent ended, is to go back whatever it does now: then failing says why.
func (c *changer) ready(ctx context.Context, changed []pending) (failing string, err error) {
	if c.goesBack(changed) {
		return "the agent ended while it went back", nil
	}
	for _, p := range changed {
		switch err := p.Ready(ctx); {
		case errors.Is(err, target.ErrFailing) && c.runs[p.Name()] == unproven && c.held[p.Name()].delay == 0:
			failing = fmt.Sprintf("%s: %v on files that were never proven", p.Name(), err)
		case err != nil:
			return "", fmt.Errorf("%s: %w: %w", p.Name(), errNoVerdict, err)
		}
	}
	return failing, nil
}

// errEnds is a change that is broken off. At its next start the agent finds it begun.
var errEnds = fmt.Errorf("%w: the agent ends", errNoVerdict)

// carryOut makes the services run on files that were found good, and fills in what became of it.
func (c *changer) carryOut(ctx context.Context, changed []pending, ch *control.Change) error {
	c.begin(*ch, false)
	c.step("begun")
	taken, err := c.take(ctx, changed)
	switch {
	case ctx.Err() != nil:
		return errEnds
	case errors.Is(err, systemd.ErrNotAsked), errors.Is(err, systemd.ErrLost), errors.Is(err, target.ErrNotRunning):
		// It says nothing about the files. What was taken before it runs on them by now, and so may the one that was lost:
		// they stay together until they have come to an end of it.
		if taken > 0 || errors.Is(err, systemd.ErrLost) {
			c.unsettle(changed)
		}
		return fmt.Errorf("%s: %w: %w", changed[taken].Name(), errNoVerdict, err)
	case err != nil:
		ch.Verdict, ch.Reason = c.rollBack(ctx, changed, *ch, fmt.Errorf("%s: %w", changed[taken].Name(), err))
		return nil
	}
	if same, err := c.unchanged(changed); err != nil || !same {
		// What runs is not sure to be what was judged. The newer files are a change of their own, which follows at once.
		c.unsettle(changed)
		return fmt.Errorf("%w: the files changed again meanwhile", errNoVerdict)
	}
	c.step("proven")
	ch.Verdict, ch.Reason = c.commit(changed, ch.Number)
	c.step("committed")
	return nil
}

// validate judges the new files, and names the targets that are good. One that is bad makes the change bad; one that
// cannot be judged leaves all of it unjudged.
func (c *changer) validate(ctx context.Context, changed []pending) (verdict tool.Verdict, reason string, good map[string]bool) {
	verdict, good = tool.Good, map[string]bool{}
	var reasons []string
	for _, p := range changed {
		vctx, cancel := context.WithTimeout(ctx, validateTime)
		a := target.Judge(vctx, p.Target)
		cancel()
		if a.Verdict == tool.Good {
			good[p.Name()] = true
			continue
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s: %s", p.Name(), a.Verdict, target.Shorten(a.Reason())))
		if verdict == tool.Good || a.Verdict == tool.Bad {
			verdict = a.Verdict
		}
	}
	if ctx.Err() != nil {
		return tool.None, "the agent ends", nil
	}
	return verdict, strings.Join(reasons, "; "), good
}

// take makes the services run on the new files, one after the other, and tells how many do. The one after them is that of
// the error.
func (c *changer) take(ctx context.Context, changed []pending) (taken int, err error) {
	for i, p := range changed {
		since := p.snapshot.Changed
		if c.runs[p.Name()] != "" || since.After(c.now()) {
			since = time.Time{} // it runs on others; and what is of the future was written before the clock was set back
		}
		tctx, cancel := context.WithTimeout(ctx, target.TakeTime)
		err := p.Target.Take(tctx, since)
		cancel()
		if err != nil {
			return i, err
		}
		c.step("taken " + p.Name())
	}
	return len(changed), nil
}

// unchanged tells whether the files are still those that were judged.
func (c *changer) unchanged(changed []pending) (bool, error) {
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
