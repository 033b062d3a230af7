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
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/regular"
)

// rollBack sets the files of all targets of a change aside, restores the last known good ones, and makes the services run on
// those. If a target has no last known good files yet, everything stays as it is.
func (c *Changer) rollBack(ctx context.Context, changed []pending, ch journal.Change, cause error) (journal.Verdict, string) {
	// If the agent ends, that says nothing about the files.
	if ctx.Err() != nil {
		return journal.Failed, fmt.Sprintf("%v; the agent ended before the rollback", cause)
	}
	goods, err := c.goods(changed)
	if err != nil {
		for _, p := range changed {
			p.judge(p.digest())
		}
		return journal.Failed, fmt.Sprintf("%v; there are no last known good files: %v", cause, err)
	}
	// An agent that finds this record must roll back too: some files may already be restored, and others not.
	c.begin(ch, changed, true)
	restored := anyOf(changed, func(s *state) bool { return s.phase == returning })
	for _, p := range changed {
		did, err := c.restore(p, goods[p.Name()], ch.Number)
		if err != nil {
			return c.fail(changed, fmt.Sprintf("%v; cannot roll back: %v", cause, err))
		}
		restored = restored || did
	}
	c.step("restored")
	if !restored {
		return c.fail(changed, fmt.Sprintf("%v; these are the last known good files", cause))
	}
	for _, p := range changed {
		if err := c.takeBack(ctx, p); err != nil {
			return c.fail(changed, fmt.Sprintf("%v; the last known good files were restored, but %s could not be proven: %v", cause, p.Name(), err))
		}
	}
	c.step("taken back")
	for _, p := range changed {
		if s, err := target.Read(p.Paths()); err != nil || digest(s.Digest) != digestOf(goods[p.Name()]) {
			// The file was edited meanwhile. It is not certain what the service loaded: the newer files are the next change.
			p.leave(breaksOff)
			continue
		}
		p.prove(digestOf(goods[p.Name()]))
	}
	return journal.RolledBack, cause.Error()
}

// takeBack makes a service run on its last known good files. systemd restarts a service that is ending on the other files, so a
// failure meanwhile does not count.
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

// fail schedules another try of targets.
func (c *Changer) fail(changed []pending, reason string) (journal.Verdict, string) {
	c.later(changed)
	return journal.Failed, reason
}

// goods returns the last known good files of the targets of a change, with their content.
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
			goods[p.Name()] = g // the content is already in memory
		} else if goods[p.Name()], err = c.store.Fill(g); err != nil {
			return nil, err
		}
	}
	return goods, nil
}

// restore puts the files of one target back, and reports whether that was necessary. Any other file at that path is set aside
// under a name with the reason and the time, even if it is newer than the tested one: no file of the user is lost.
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
	// A file that the last known good state did not have would still be read, for example an included one.
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

// setAside gives a file a second name beside it. It does so only once, even if a later step fails and is tried again.
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

// isAside reports whether the file at a path already has its second name.
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
