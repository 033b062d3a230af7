// Package change makes services run on new files of their targets: on all files of a change or none. Files that fail their
// target's test are not loaded. If a service does not prove that it runs on its new files, its last known good files are
// restored. Each step is recorded first, so that an agent that dies during a change continues it at its next start.
package change

import (
	"log/slog"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
)

// Config holds what a Changer needs.
type Config struct {
	Targets []target.Target // in the order of their reloads: a target comes after those that it depends on
	Store   *store.Store
	Log     *slog.Logger
	Now     func() time.Time
	Panics  *contain.Panics // nil: a panic ends the process
	// Point is called with the name of each step of a change; nil: no calls. A test ends the agent there.
	Point func(name string)
}

// Changer carries out changes, one at a time.
type Changer struct {
	targets []*tracked
	store   *store.Store
	log     *slog.Logger
	now     func() time.Time
	panics  *contain.Panics
	point   func(name string)

	number int          // of the last change
	owed   debts        // what could not be written yet, for example because the disk is full
	begun  *store.Begun // the record of the change that is being carried out; nil: none
}

// New returns a Changer that does not know the state of its targets yet: see Resume.
func New(conf Config) *Changer {
	c := &Changer{store: conf.Store, log: conf.Log, now: conf.Now, panics: conf.Panics, point: conf.Point}
	for _, t := range conf.Targets {
		c.targets = append(c.targets, &tracked{Target: t})
	}
	return c
}

// pending is a target with its files as they are on the disk.
type pending struct {
	*tracked
	snapshot target.Snapshot
}

func (p pending) digest() digest { return digest(p.snapshot.Digest) }

// look returns the targets whose files are a change, and those that wait for another change.
func (c *Changer) look() ([]pending, error) {
	var changed []pending
	found := false
	for _, t := range c.targets {
		s, err := target.Read(t.Paths())
		if err != nil {
			return nil, err
		}
		p := pending{t, s}
		switch t.relation(p.digest(), c.now()) {
		case restored:
			t.judge(p.digest())
			found = true
		case deferred:
			changed = append(changed, p)
		case newFiles:
			changed = append(changed, p)
			found = true
		}
	}
	if !found {
		return nil, nil
	}
	return changed, nil
}

// groups splits the new files into changes. All targets form one change, except that each fresh target is a change alone: if
// its service does not run or its files are bad, the first proof of the other targets must not wait. Targets of the same
// interrupted change also stay together, because it is not known what their services run on.
func (c *Changer) groups(changed []pending) [][]pending {
	var groups [][]pending
	var together, loose []pending
	for _, p := range changed {
		switch {
		case p.phase == fresh:
			groups = append(groups, []pending{p})
		case p.loose():
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
