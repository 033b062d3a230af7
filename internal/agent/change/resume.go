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

// Resume carries on from what the last agent left in the store, which may have died at any point, and returns the last
// change.
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

// tracked returns the target of a name; nil: there is none any more.
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

// recall looks for a change that was begun and has no verdict, and gives it one: it was taken over, only nobody wrote it
// down, or it was interrupted, and nobody knows what the services run on.
func (c *Changer) recall(goods map[string]store.Good) error {
	b, err := c.store.Begun()
	if err != nil {
		c.log.Error(err.Error()) // nothing is known of it: the files tell whether there is a change
		return c.store.End()
	}
	if b == nil {
		return nil
	}
	changes, err := c.store.Changes()
	if err != nil {
		return err
	}
	var written *journal.Verdict // nil: it has none
	for _, ch := range changes {
		if ch.Number == b.Number {
			written = &ch.Verdict
		}
	}
	ch := journal.Change{Number: b.Number, Time: b.Time, Targets: b.Targets}
	switch {
	case written == nil && committed(goods, b):
		ch.Verdict, ch.Reason = journal.Proven, "the agent ended before it could write this down"
		c.tell(ch)
		return c.store.End()
	case written == nil:
		ch.Verdict, ch.Reason = journal.Interrupted, "the agent ended in the middle of it: services are taken through it anew"
		c.tell(ch)
	case *written != journal.Interrupted:
		return c.store.End()
	}
	// The change stays begun until there is a verdict on the next one: this agent may die, too.
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

// unapply takes back the files of an apply that has no verdict: all of them, or none. One that somebody has edited since
// stays.
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

// putBack restores what was there before an apply.
func (c *Changer) putBack(st store.Staged) error {
	for _, f := range st.Files {
		now, _, err := target.ReadFile(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			now.Digest = ""
		case errors.Is(err, regular.ErrUnusable): // it was put there since
			continue
		case err != nil:
			return err
		}
		if now.Digest == f.Digest || now.Digest != f.New && !c.isGood(f.Path, now.Digest) {
			continue
		}
		c.log.Warn("taking back a file that was to be applied", "file", f.Path)
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

// isGood reports whether bytes are the last known good ones of a file.
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
