package change

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
)

// refuse records that files are bad, so that they are not tested again, unless their target is fresh.
func (c *Changer) refuse(changed []pending, good map[string]bool, reason string) {
	if first := changed[0]; first.phase == fresh {
		first.refusal = reason
		return
	}
	for _, p := range changed {
		p.refuse(p.digest(), good[p.Name()])
	}
}

// later schedules another try of targets.
func (c *Changer) later(changed []pending) {
	for _, p := range changed {
		s, err := target.Read(p.Paths())
		if err != nil {
			p.leave(fails) // it is tried again at once
			continue
		}
		p.fail(digest(s.Digest), c.now())
	}
}

// sameFailure is an error for a change that failed for the same reason as before: it is logged only once.
func (c *Changer) sameFailure(changed []pending, ch journal.Change) error {
	if ch.Verdict != journal.Failed {
		return nil
	}
	same := false
	for _, p := range changed {
		if h := p.hold; h != nil {
			same = same || h.reason == ch.Reason
			h.reason = ch.Reason
		}
	}
	if !same {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNoVerdict, ch.Reason)
}

// debts are records that could not be written yet.
type debts struct {
	goods   map[string]store.Good
	changes []journal.Change
}

// mostDebts is the maximum number of changes that wait to be written to the journal.
const mostDebts = 1000

// commit makes the proven files the last known good ones.
func (c *Changer) commit(changed []pending, number int) (journal.Verdict, string) {
	states := map[string]store.Good{}
	for _, p := range changed {
		p.prove(p.digest())
		states[p.Name()] = store.Good{Generation: number, Time: c.now().UTC(), Files: p.snapshot.Files}
		delete(c.owed.goods, p.Name())
	}
	if err := c.store.Commit(states); err != nil {
		// The service runs on the proven files. Only a later rollback would restore older files than necessary.
		if c.owed.goods == nil {
			c.owed.goods = map[string]store.Good{}
		}
		maps.Copy(c.owed.goods, states)
		return journal.Proven, fmt.Sprintf("it could not be saved as last known good yet: %v", err)
	}
	return journal.Proven, ""
}

// payDebts writes the records that could not be written before.
func (c *Changer) payDebts() {
	if len(c.owed.goods) > 0 && c.store.Commit(c.owed.goods) == nil {
		c.owed.goods = nil
		c.log.Info("the last known good files are saved now")
	}
	for len(c.owed.changes) > 0 && c.store.Append(c.owed.changes[0]) == nil {
		c.owed.changes = c.owed.changes[1:]
	}
}

// begin records that services are about to be changed, to files that passed their test, or back to the last known good ones. If
// the record cannot be written, the change goes on: only an agent that is killed during this change would miss it.
func (c *Changer) begin(ch journal.Change, changed []pending, back bool) {
	c.begun = &store.Begun{Number: ch.Number, Time: ch.Time, Targets: ch.Targets, Back: back, Tested: map[string]string{}}
	if !back {
		for _, p := range changed {
			c.begun.Tested[p.Name()] = p.snapshot.Digest
		}
	}
	if err := c.store.Begin(*c.begun); err != nil {
		c.log.Error(err.Error())
	}
}

// next returns the number of the next change. Other processes write to the journal too, such as guard before a service starts.
func (c *Changer) next() int {
	last := c.number
	if changes, err := c.store.Changes(); err == nil {
		for _, ch := range changes {
			last = max(last, ch.Number)
		}
	}
	return last + 1
}

// report writes a change to the journal and to the log.
func (c *Changer) report(ch journal.Change) {
	c.payDebts()
	if err := c.store.Append(ch); err != nil {
		c.log.Error(err.Error())
		if len(c.owed.changes) < mostDebts {
			c.owed.changes = append(c.owed.changes, ch)
		}
	}
	level := slog.LevelInfo
	if ch.Verdict != journal.Proven {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, "change "+string(ch.Verdict), "number", ch.Number,
		"targets", strings.Join(ch.Targets, ","), "reason", ch.Reason, "took", ch.Took)
}
