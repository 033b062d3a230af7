// Package change takes new files of targets over: all files of a change or none. Files that a target's program refuses are not
// loaded, and a target whose service does not prove that it runs on its new files goes back to the last known good ones. What
// is begun is written down, so that an agent that dies in the middle of it finds and finishes it at its next start.
package change

import (
	"log/slog"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
)

// Config is what a Changer works with.
type Config struct {
	Targets []target.Target // in the order in which they are reloaded: what another needs comes first
	Store   *store.Store
	Log     *slog.Logger
	Now     func() time.Time
	Panics  *contain.Panics // nil: a panic ends the process
	// Point is called with the name of each step of a change; nil: it is not. A test ends the agent there.
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
	owed   debts        // what could not be written yet: the disk is full, for instance
	begun  *store.Begun // what the change that is carried out now has begun; nil: nothing yet
}

// New returns a Changer to which nothing is known of its targets: see Resume.
func New(conf Config) *Changer {
	c := &Changer{store: conf.Store, log: conf.Log, now: conf.Now, panics: conf.Panics, point: conf.Point}
	for _, t := range conf.Targets {
		c.targets = append(c.targets, &tracked{Target: t})
	}
	return c
}

// pending is a target with its files as they lie on the disk.
type pending struct {
	*tracked
	snapshot target.Snapshot
}

func (p pending) digest() digest { return digest(p.snapshot.Digest) }

// look finds the targets whose files make a change, and those that wait for one.
func (c *Changer) look() ([]pending, error) {
	var changed []pending
	found := false
	for _, t := range c.targets {
		s, err := target.Read(t.Paths())
		if err != nil {
			return nil, err
		}
		p := pending{t, s}
		switch t.standing(p.digest(), c.now()) {
		case takenBack:
			t.judge(p.digest())
			found = true
		case waiting:
			changed = append(changed, p)
		case news:
			changed = append(changed, p)
			found = true
		}
	}
	if !found {
		return nil, nil
	}
	return changed, nil
}

// groups are the changes that the new files make: one of all together, but a fresh target is taken over by itself. One whose
// service does not run, or whose files are bad, does not keep the others from their first proof. And those that a change was
// broken off for stay together: they run on nobody knows what, and must come to an end of it whatever else was edited.
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
