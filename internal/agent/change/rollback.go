package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/poll"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
)

// rollBack sets the files of all targets of a change aside, puts the last known good ones in their place, and makes the
// services run on those. Where a target has no last known good files yet, everything stays as it is.
func (c *Changer) rollBack(ctx context.Context, changed []pending, ch journal.Change, cause error) (journal.Verdict, string) {
	// A change that is given up because the agent ends is no verdict on the files.
	if ctx.Err() != nil {
		return journal.Failed, fmt.Sprintf("%v; the agent ended before it could go back", cause)
	}
	goods, err := c.goods(changed)
	if err != nil {
		for _, p := range changed {
			p.judge(p.digest())
		}
		return journal.Failed, fmt.Sprintf("%v; there is nothing to go back to: %v", cause, err)
	}
	// Whoever finds this change begun is to go back, too: some files may be back already, and others not.
	c.begin(ch, true)
	restored := anyOf(changed, func(s *state) bool { return s.phase == returning })
	for _, p := range changed {
		did, err := c.restore(p, goods[p.Name()], ch.Number)
		if err != nil {
			return c.fail(changed, fmt.Sprintf("%v; cannot go back: %v", cause, err))
		}
		restored = restored || did
	}
	c.step("restored")
	if !restored {
		return c.fail(changed, fmt.Sprintf("%v; these are the last known good files", cause))
	}
	for _, p := range changed {
		if err := c.takeBack(ctx, p); err != nil {
			return c.fail(changed, fmt.Sprintf("%v; the last known good files are back, but %s does not prove on them: %v", cause, p.Name(), err))
		}
	}
	c.step("taken back")
	for _, p := range changed {
		if s, err := target.Read(p.Paths()); err != nil || digest(s.Digest) != digestOf(goods[p.Name()]) {
			// An editor was faster. What runs is not sure to be what was proven: the newer files are a change, at once.
			p.leave(breaksOff)
			continue
		}
		p.prove(digestOf(goods[p.Name()]))
	}
	return journal.RolledBack, cause.Error()
}

// takeBack makes a service run on its last known good files. One that is just ending over the others is started by systemd
// sooner or later: what fails meanwhile says nothing.
func (c *Changer) takeBack(ctx context.Context, p pending) error {
	ctx, cancel := context.WithTimeout(ctx, target.TakeTime)
	defer cancel()
	tries := 0
	return poll.Until(ctx, 200*time.Millisecond, func() (bool, error) {
		if err := p.Ready(ctx); err != nil {
			return false, err
		}
		err := p.Take(ctx, time.Time{})
		tries++
		return err == nil || tries == 3, err
	})
}

// fail leaves targets to be tried again.
func (c *Changer) fail(changed []pending, reason string) (journal.Verdict, string) {
	c.later(changed)
	return journal.Failed, reason
}

// goods are the last known good files of the targets of a change, with their bytes.
func (c *Changer) goods(changed []pending) (map[string]store.Good, error) {
	all, err := c.store.Goods()
	if err != nil {
		return nil, err
	}
	maps.Copy(all, c.owed.goods)
	goods := map[string]store.Good{}
	for _, p := range changed {
		g, ok := all[p.Name()]
		if !ok {
			return nil, fmt.Errorf("no files of %s were ever proven", p.Name())
		}
		if _, owed := c.owed.goods[p.Name()]; owed {
			goods[p.Name()] = g // with its bytes
		} else if goods[p.Name()], err = c.store.Fill(g); err != nil {
			return nil, err
		}
	}
	return goods, nil
}

// restore puts the files of one target back, and tells whether there was anything to put back. Whatever lies there now is
// set aside under a name that says when and why, even if it is newer than what was judged: nothing of the user's is lost.
func (c *Changer) restore(p pending, g store.Good, number int) (did bool, err error) {
	for _, f := range g.Files {
		now, _, err := target.ReadFile(f.Path)
		switch {
		case err == nil && now.Digest == f.Digest:
			continue
		case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, regular.ErrUnusable):
			return did, err
		case !errors.Is(err, fs.ErrNotExist):
			if err := c.setAside(f.Path, number); err != nil {
				return did, err
			}
			c.step("set aside")
		}
		if err := durable.WriteFile(f.Path, f.Data, f.Mode, f.UID, f.GID); err != nil {
			return did, err
		}
		did = true
		c.step("restored " + p.Name())
	}
	// A file that the good state did not have would still be read, an included one for instance.
	for _, path := range p.snapshot.Present() {
		if slices.ContainsFunc(g.Files, func(good store.File) bool { return good.Path == path }) {
			continue
		}
		err := c.setAside(path, number)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return did, err
		}
		if err := durable.Remove(path); err != nil {
			return did, err
		}
		did = true
	}
	return did, nil
}

// setAside gives a file a second name beside it, once: a write that fails after it is tried again.
func (c *Changer) setAside(path string, number int) error {
	if has, err := isAside(path); has || err != nil {
		return err
	}
	aside, err := target.SetAside(path, c.now(), fmt.Sprintf("change-%d-not-proven", number))
	if err != nil {
		return err
	}
	c.log.Warn("set a file aside", "file", path, "as", aside)
	return nil
}

// isAside reports whether what lies at a path has its second name already.
func isAside(path string) (bool, error) {
	now, err := os.Lstat(path)
	if err != nil {
		return false, fmt.Errorf("cannot set a file aside: %w", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return false, fmt.Errorf("cannot set a file aside: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), filepath.Base(path)+".rejected-") {
			continue
		}
		if fi, err := e.Info(); err == nil && os.SameFile(fi, now) {
			return true, nil
		}
	}
	return false, nil
}
