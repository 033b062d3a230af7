package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/durable"
)

// rollBack sets the files of all targets of a change aside, puts the last known good ones in their place, and makes the
// services run on those. Where a target has no last known good files yet, everything stays as it is.
func (c *changer) rollBack(ctx context.Context, changed []pending, number int, cause error) (control.Verdict, string) {
	// A change that is given up because the agent ends is no verdict on the files.
	if ctx.Err() != nil {
		return control.Failed, fmt.Sprintf("%v; the agent ended before it could go back", cause)
	}
	goods, err := c.goods(changed)
	if err != nil {
		c.judge(changed)
		return control.Failed, fmt.Sprintf("%v; there is nothing to go back to: %v", cause, err)
	}
	for _, p := range changed {
		if err := c.restore(p, goods[p.name()], number); err != nil {
			c.judge(changed)
			return control.Failed, fmt.Sprintf("%v; cannot go back: %v", cause, err)
		}
		c.prove(p.name(), digestOf(goods[p.name()]))
	}
	for _, p := range changed {
		tctx, cancel := context.WithTimeout(ctx, takeTime)
		err := p.target.take(tctx, c.now())
		cancel()
		if err != nil {
			return control.Failed, fmt.Sprintf("%v; the last known good files are back, but %s does not prove on them: %v", cause, p.name(), err)
		}
	}
	return control.RolledBack, cause.Error()
}

// goods are the last known good files of the targets of a change, with their bytes.
func (c *changer) goods(changed []pending) (map[string]store.Good, error) {
	all, err := c.store.Goods()
	if err != nil {
		return nil, err
	}
	goods := map[string]store.Good{}
	for _, p := range changed {
		g, ok := all[p.name()]
		if !ok {
			return nil, fmt.Errorf("no files of %s were ever proven", p.name())
		}
		if goods[p.name()], err = c.store.Fill(g); err != nil {
			return nil, err
		}
	}
	return goods, nil
}

// restore puts the files of one target back. Whatever lies there now is set aside under a name that says when and why,
// even if it is newer than what was judged: nothing of the user's is lost.
func (c *changer) restore(p pending, g store.Good, number int) error {
	for _, f := range g.Files {
		now, _, err := readFile(f.Path)
		switch {
		case err == nil && now.Digest == f.Digest:
			continue
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case err == nil:
			if err := c.setAside(f.Path, number); err != nil {
				return err
			}
		}
		if err := durable.WriteFile(f.Path, f.Data, f.Mode, f.UID, f.GID); err != nil {
			return err
		}
	}
	// A file that the good state did not have would still be read, an included one for instance.
	for _, f := range p.snapshot.files {
		if slices.ContainsFunc(g.Files, func(good store.File) bool { return good.Path == f.Path }) {
			continue
		}
		err := c.setAside(f.Path, number)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := durable.Remove(f.Path); err != nil {
			return err
		}
	}
	return nil
}

// setAside gives a file a second name beside it. The first one is never without a file: a write by rename takes it over.
// The second ends in a way that patterns such as *.conf and *.pem do not find.
func (c *changer) setAside(path string, number int) error {
	aside := fmt.Sprintf("%s.rejected-%s-change-%d-not-proven", path, c.now().UTC().Format("20060102T150405Z"), number)
	err := os.Link(path, aside)
	if errors.Is(err, fs.ErrExist) {
		aside += fmt.Sprintf("-%d", c.now().Nanosecond())
		err = os.Link(path, aside)
	}
	if err != nil {
		return fmt.Errorf("cannot set a file aside: %w", err)
	}
	c.log.Warn("set a file aside", "file", path, "as", aside)
	return nil
}
