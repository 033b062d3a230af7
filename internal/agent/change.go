package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/tool"
)

// Bounds of the parts of a change.
const (
	validateTime = 20 * time.Second
	takeTime     = 45 * time.Second // reload and proof of one target
)

// changer carries out changes, one at a time.
type changer struct {
	targets []target // in the order in which they are reloaded: what another needs comes first
	store   *store.Store
	log     *slog.Logger
	now     func() time.Time
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
}

// pending is a target whose files are other than those of the last verdict.
type pending struct {
	target
	snapshot snapshot
}

// errNoVerdict says that nothing was judged: the same files are looked at again later.
var errNoVerdict = errors.New("no verdict yet")

// look finds the targets whose files have changed since the last verdict, and those that wait for them.
func (c *changer) look() ([]pending, error) {
	var changed []pending
	news := false
	for _, t := range c.targets {
		s, err := read(t.paths())
		if err != nil {
			return nil, err
		}
		switch name := t.name(); s.digest {
		case c.judged[name]:
		case c.runs[name]: // what was refused was taken back
			c.judged[name] = s.digest
			delete(c.waits, name)
			news = true
		case c.waits[name]:
			changed = append(changed, pending{t, s})
		default:
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
// proof.
func (c *changer) groups(changed []pending) [][]pending {
	var groups [][]pending
	var together []pending
	for _, p := range changed {
		if c.runs[p.name()] == "" {
			groups = append(groups, []pending{p})
		} else {
			together = append(together, p)
		}
	}
	if together != nil {
		groups = append(groups, together)
	}
	return groups
}

// change carries out one change of all targets that have new files: all or none. It returns errNoVerdict where a service
// does not run, and a change otherwise. since is when the first of it was noticed.
func (c *changer) change(ctx context.Context, changed []pending, since time.Time) (control.Change, error) {
	for _, p := range changed {
		if err := p.ready(ctx); err != nil {
			return control.Change{}, fmt.Errorf("%s: %w: %w", p.name(), errNoVerdict, err)
		}
	}
	ch := control.Change{Number: c.number + 1, Time: since.UTC(), Targets: names(changed)}
	verdict, reason, good := c.validate(ctx, changed)
	if verdict == tool.None {
		return control.Change{}, fmt.Errorf("%w: %s", errNoVerdict, reason)
	}
	if verdict == tool.Bad {
		if c.told[changed[0].name()] == reason {
			return control.Change{}, fmt.Errorf("%w: %s", errNoVerdict, reason)
		}
		ch.Verdict, ch.Reason = control.Refused, reason
		c.refuse(changed, good, reason)
	} else if target, err := c.take(ctx, changed); ctx.Err() != nil {
		// The agent ends. At its next start these files are other than the last known good ones: a change.
		return control.Change{}, fmt.Errorf("%w: the agent ends", errNoVerdict)
	} else if err != nil {
		ch.Verdict, ch.Reason = c.rollBack(ctx, changed, ch.Number, fmt.Errorf("%s: %w", target, err))
	} else if same, err := c.unchanged(changed); err != nil || !same {
		// What runs is not sure to be what was judged. The newer files are a change of their own, which follows at once.
		c.unsettle(changed)
		return control.Change{}, fmt.Errorf("%w: the files changed again meanwhile", errNoVerdict)
	} else {
		ch.Verdict, ch.Reason = c.commit(changed, ch.Number)
	}
	if ch.Verdict != control.Refused {
		delete(c.told, changed[0].name())
	}
	c.number = ch.Number
	ch.Took = c.now().Sub(since).Round(time.Millisecond).String()
	c.tell(ch)
	return ch, nil
}

// validate judges the new files, and names the targets that are good. One that is bad makes the change bad; one that
// cannot be judged leaves all of it unjudged.
func (c *changer) validate(ctx context.Context, changed []pending) (verdict tool.Verdict, reason string, good map[string]bool) {
	verdict, good = tool.Good, map[string]bool{}
	var reasons []string
	for _, p := range changed {
		vctx, cancel := context.WithTimeout(ctx, validateTime)
		a := p.target.validate(vctx)
		cancel()
		if a.Verdict == tool.Good {
			good[p.name()] = true
			continue
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s: %s", p.name(), a.Verdict, a.Reason()))
		if verdict == tool.Good || a.Verdict == tool.Bad {
			verdict = a.Verdict
		}
	}
	if ctx.Err() != nil {
		return tool.None, "the agent ends", nil
	}
	return verdict, strings.Join(reasons, "; "), good
}

// refuse remembers files that are bad, so that they are not looked at again. Those of a target that runs on nothing proven
// yet are: at boot a file may be bad only because an interface is not there yet.
func (c *changer) refuse(changed []pending, good map[string]bool, reason string) {
	if first := changed[0].name(); c.runs[first] == "" {
		c.told[first] = reason
		return
	}
	for _, p := range changed {
		if good[p.name()] {
			c.waits[p.name()] = p.snapshot.digest
		} else {
			c.judged[p.name()] = p.snapshot.digest
		}
	}
}

// take makes the services run on the new files, one after the other, and names the first that does not prove.
func (c *changer) take(ctx context.Context, changed []pending) (string, error) {
	for _, p := range changed {
		tctx, cancel := context.WithTimeout(ctx, takeTime)
		err := p.target.take(tctx, p.snapshot.changed)
		cancel()
		if err != nil {
			return p.name(), err
		}
	}
	return "", nil
}

// unchanged tells whether the files are still those that were judged.
func (c *changer) unchanged(changed []pending) (bool, error) {
	for _, p := range changed {
		s, err := read(p.paths())
		if err != nil || s.digest != p.snapshot.digest {
			return false, err
		}
	}
	return true, nil
}

// unproven stands for what a target runs on when nobody knows which bytes those are. It is no digest.
const unproven = "unproven"

// unsettle remembers that targets run on other files than the last proven ones: those are a change too when they come
// back.
func (c *changer) unsettle(changed []pending) {
	for _, p := range changed {
		if c.runs[p.name()] != "" {
			c.runs[p.name()] = unproven
		}
		delete(c.judged, p.name())
	}
}

// judge remembers that there is a verdict on these files.
func (c *changer) judge(changed []pending) {
	for _, p := range changed {
		c.judged[p.name()] = p.snapshot.digest
		delete(c.waits, p.name())
	}
}

// prove remembers that a target runs on files of a digest.
func (c *changer) prove(name, digest string) {
	c.judged[name], c.runs[name] = digest, digest
	delete(c.waits, name)
}

// commit makes the proven files the last known good ones.
func (c *changer) commit(changed []pending, number int) (control.Verdict, string) {
	states := map[string]store.Good{}
	for _, p := range changed {
		c.prove(p.name(), p.snapshot.digest)
		states[p.name()] = store.Good{Generation: number, Time: c.now().UTC(), Files: p.snapshot.files}
	}
	if err := c.store.Commit(states); err != nil {
		// It runs and it is proven. Only a later rollback would lead further back than it should.
		return control.Proven, fmt.Sprintf("it could not be kept as the last known good: %v", err)
	}
	return control.Proven, ""
}

// tell writes a change to the journal and to the log.
func (c *changer) tell(ch control.Change) {
	if err := c.store.Append(ch); err != nil {
		c.log.Error(err.Error())
	}
	level := slog.LevelInfo
	if ch.Verdict != control.Proven {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, "change "+string(ch.Verdict), "number", ch.Number,
		"targets", strings.Join(ch.Targets, ","), "reason", ch.Reason, "took", ch.Took)
}

func names(changed []pending) []string {
	var all []string
	for _, p := range changed {
		all = append(all, p.name())
	}
	return all
}
