package change

import (
	"errors"
	"io/fs"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
)

// Resume continues from the store of the last agent, which may have died at any point. It returns the last change.
func (c *Changer) Resume() (*journal.Change, error) {
	goods, err := c.store.Goods()
	if err != nil {
		return nil, err
	}
	for name, g := range goods {
		if t := c.tracked(name); t != nil {
			t.prove(digestOf(g))
		}
		c.number = max(c.number, g.Generation)
	}
	if err := c.unapply(goods); err != nil {
		return nil, err
	}
	if err := c.recall(goods); err != nil {
		return nil, err
	}
	changes, err := c.store.Changes()
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	last := changes[len(changes)-1]
	c.number = max(c.number, last.Number)
	return &last, nil
}

// tracked returns the target with a name, or nil.
func (c *Changer) tracked(name string) *tracked {
	for _, t := range c.targets {
		if t.Name() == name {
			return t
		}
	}
	return nil
}

// digestOf returns the digest that a snapshot of exactly these files has.
func digestOf(g store.Good) digest { return digest(target.DigestOf(g)) }

// recall looks for a change that was begun and has no verdict, and gives it one: proven, if only the record is missing, or
// interrupted.
func (c *Changer) recall(goods map[string]store.Good) error {
	b, err := c.store.Begun()
	if err != nil {
		c.log.Error(err.Error()) // without a record, the files show whether there is a change
		return c.store.End()
	}
	if b == nil {
		return nil
	}
	changes, err := c.store.Changes()
	if err != nil {
		return err
	}
	var written *journal.Verdict // nil: there is none
	for _, ch := range changes {
		if ch.Number == b.Number {
			written = &ch.Verdict
		}
	}
	ch := journal.Change{Number: b.Number, Time: b.Time, Targets: b.Targets}
	switch {
	case written == nil && committed(goods, b):
		ch.Verdict, ch.Reason = journal.Proven, "the agent ended before it could record this"
		c.report(ch)
		return c.store.End()
	case written == nil:
		ch.Verdict, ch.Reason = journal.Interrupted, "the agent ended during the change, which begins again"
		c.report(ch)
	case *written != journal.Interrupted:
		return c.store.End()
	}
	// The record stays until the next change has a verdict, because this agent may die too.
	c.number = max(c.number, b.Number)
	for _, name := range b.Targets {
		if t := c.tracked(name); t != nil {
			t.leave(interruption(b))
		}
	}
	return nil
}

// committed reports whether a change made its files the last known good ones.
func committed(goods map[string]store.Good, b *store.Begun) bool {
	for _, name := range b.Targets {
		if goods[name].Generation != b.Number {
			return false
		}
	}
	return len(b.Targets) > 0
}

// unapply removes the files of an apply that has no verdict: all of them, or none. A file that was edited since then stays.
func (c *Changer) unapply(goods map[string]store.Good) error {
	st, err := c.store.Staged()
	if err != nil {
		c.log.Error(err.Error())
		return c.store.Unstage()
	}
	if st == nil {
		return nil
	}
	for _, g := range goods {
		if g.Generation == st.Number { // it was proven
			return c.store.Unstage()
		}
	}
	if err := c.putBack(*st); err != nil {
		return err
	}
	return c.store.Unstage()
}

// putBack restores the files that an apply replaced.
func (c *Changer) putBack(st store.Staged) error {
	for _, f := range st.Files {
		now, _, err := target.ReadFile(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			now.Digest = ""
		case errors.Is(err, regular.ErrUnusable): // it was created since then
			continue
		case err != nil:
			return err
		}
		if now.Digest == f.Digest || now.Digest != f.New && !c.isGood(f.Path, now.Digest) {
			continue
		}
		c.log.Warn("removing a file of an unfinished apply", "file", f.Path)
		if !f.Was {
			err = durable.Remove(f.Path)
		} else {
			err = durable.WriteFile(f.Path, f.Data, f.Mode, f.UID, f.GID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isGood reports whether data is the last known good content of a file.
func (c *Changer) isGood(path, digest string) bool {
	goods, err := c.store.Goods()
	if err != nil {
		return false
	}
	for _, g := range goods {
		for _, f := range g.Files {
			if f.Path == path {
				return f.Digest == digest
			}
		}
	}
	return false
}
