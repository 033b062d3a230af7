package agent

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
)

// unproven stands for what a target runs on when nobody knows which bytes those are. It is no digest.
const unproven = "unproven"

// loose tells whether one of these targets runs on nobody knows what.
func (c *changer) loose(changed []pending) bool {
	for _, p := range changed {
		if c.runs[p.Name()] == unproven {
			return true
		}
	}
	return false
}

// goesBack tells whether targets are on their way back to their last known good files.
func (c *changer) goesBack(changed []pending) bool {
	for _, p := range changed {
		if c.back[p.Name()] {
			return true
		}
	}
	return false
}

// refuse remembers files that are bad, so that they are not looked at again. Those of a target that runs on nothing proven
// yet are: at boot a file may be bad only because an interface is not there yet.
func (c *changer) refuse(changed []pending, good map[string]bool, reason string) {
	if first := changed[0].Name(); c.runs[first] == "" {
		c.told[first] = reason
		return
	}
	for _, p := range changed {
		if good[p.Name()] {
			c.waits[p.Name()] = p.snapshot.Digest
		} else {
			c.judged[p.Name()] = p.snapshot.Digest
		}
	}
}

// unsettle remembers that targets run on other files than the last proven ones: those are a change too when they come
// back.
func (c *changer) unsettle(changed []pending) {
	for _, p := range changed {
		if c.runs[p.Name()] != "" {
			c.runs[p.Name()] = unproven
		}
		delete(c.judged, p.Name())
	}
}

// judge remembers that there is a verdict on these files.
func (c *changer) judge(changed []pending) {
	for _, p := range changed {
		c.judged[p.Name()] = p.snapshot.Digest
		delete(c.waits, p.Name())
	}
}

// prove remembers that a target runs on files of a digest.
func (c *changer) prove(name, digest string) {
	c.judged[name], c.runs[name] = digest, digest
	delete(c.waits, name)
	delete(c.told, name)
	delete(c.held, name)
	delete(c.back, name)
}

// hold keeps a target's files from being tried again too soon.
type hold struct {
	digest string
	until  time.Time
	delay  time.Duration
	reason string
}

// How soon a target that does not prove on its last known good files is tried again: later each time.
const (
	firstHold = 2 * time.Second
	lastHold  = time.Minute
)

// later has targets tried again.
func (c *changer) later(changed []pending, reason string) {
	c.unsettle(changed)
	for _, p := range changed {
		delete(c.back, p.Name())
		s, err := target.Read(p.Paths())
		if err != nil {
			continue
		}
		h := c.held[p.Name()]
		h = hold{digest: s.Digest, delay: min(max(2*h.delay, firstHold), lastHold), reason: h.reason}
		h.until = c.now().Add(h.delay)
		c.held[p.Name()] = h
	}
}

// holds tells whether a target is to be left alone for now.
func (c *changer) holds(name, digest string) bool {
	h, ok := c.held[name]
	return ok && h.digest == digest && c.now().Before(h.until)
}

// sameFailure is an error where a change failed for the reason for which it failed before: that is told once.
func (c *changer) sameFailure(changed []pending, ch control.Change) error {
	if ch.Verdict != control.Failed {
		return nil
	}
	same := false
	for _, p := range changed {
		if h, ok := c.held[p.Name()]; ok {
			same = same || h.reason == ch.Reason
			h.reason = ch.Reason
			c.held[p.Name()] = h
		}
	}
	if !same {
		return nil
	}
	return fmt.Errorf("%w: %s", errNoVerdict, ch.Reason)
}

// debts are what could not be written.
type debts struct {
	goods   map[string]store.Good
	changes []control.Change
}

// mostDebts bounds the changes that wait to be written to the journal.
const mostDebts = 1000

// commit makes the proven files the last known good ones.
func (c *changer) commit(changed []pending, number int) (control.Verdict, string) {
	states := map[string]store.Good{}
	for _, p := range changed {
		c.prove(p.Name(), p.snapshot.Digest)
		states[p.Name()] = store.Good{Generation: number, Time: c.now().UTC(), Files: p.snapshot.Files}
		delete(c.owed.goods, p.Name())
	}
	if err := c.store.Commit(states); err != nil {
		// It runs and it is proven. Only the next start would lead further back than it should.
		if c.owed.goods == nil {
			c.owed.goods = map[string]store.Good{}
		}
		maps.Copy(c.owed.goods, states)
		return control.Proven, fmt.Sprintf("it could not yet be kept as the last known good: %v", err)
	}
	return control.Proven, ""
}

// payDebts writes what could not be written when it was due.
func (c *changer) payDebts() {
	if len(c.owed.goods) > 0 && c.store.Commit(c.owed.goods) == nil {
		c.owed.goods = nil
		c.log.Info("the last known good files are kept now")
	}
	for len(c.owed.changes) > 0 && c.store.Append(c.owed.changes[0]) == nil {
		c.owed.changes = c.owed.changes[1:]
	}
}

// begin writes down that services are about to be taken through a change. Where that cannot be written, only an agent that
// is killed right now would not know of it.
func (c *changer) begin(ch control.Change, back bool) {
	c.begun = &store.Begun{Number: ch.Number, Time: ch.Time, Targets: ch.Targets, Back: back}
	if err := c.store.Begin(*c.begun); err != nil {
		c.log.Error(err.Error())
	}
}

// next is the number of the next change. Others write to the journal, too: guard before a service starts.
func (c *changer) next() int {
	last := c.number
	if changes, err := c.store.Changes(); err == nil {
		for _, ch := range changes {
			last = max(last, ch.Number)
		}
	}
	return last + 1
}

// tell writes a change to the journal and to the log.
func (c *changer) tell(ch control.Change) {
	c.payDebts()
	if err := c.store.Append(ch); err != nil {
		c.log.Error(err.Error())
		if len(c.owed.changes) < mostDebts {
			c.owed.changes = append(c.owed.changes, ch)
		}
	}
	level := slog.LevelInfo
	if ch.Verdict != control.Proven {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, "change "+string(ch.Verdict), "number", ch.Number,
		"targets", strings.Join(ch.Targets, ","), "reason", ch.Reason, "took", ch.Took)
}
