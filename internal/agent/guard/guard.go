// Package guard tests the files of a service before it starts or reloads: bad files must not keep a service from starting, and
// must not be loaded.
package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/validator"
)

// guardTime is the time limit of a guard. systemd allows 90 seconds for a start.
const guardTime = 15 * time.Second

// Guard tests a target's files. It is a separate process and works without the daemon.
type Guard struct {
	Target target.Target
	Store  string // /var/lib/ha-agent, which need not be there
	// Applied is called after the files of the target were replaced; it may be nil. Only a target without a service needs it.
	Applied func(ctx context.Context) error
	Now     func() time.Time
	Log     *slog.Logger
}

// BeforeStart sets bad files of a target aside and restores the last known good ones. It does so only if the files fail their
// test and the last known good ones pass it now; otherwise everything stays. An error is the reason why bad files stay, and
// must not prevent the start.
func (g *Guard) BeforeStart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, guardTime)
	defer cancel()
	t, name := g.Target, g.Target.Name()
	good, ok, err := g.good(name)
	if err != nil || !ok {
		return err
	}
	began := g.Now()
	now, err := target.Read(pathsOf(t, good))
	if err != nil {
		return err
	}
	if now.Digest == target.DigestOf(good) {
		return nil // there are no last known good files
	}
	a := judge(ctx, t)
	switch a.Verdict {
	case validator.Good:
		return nil
	case validator.None:
		return fmt.Errorf("%s stays as it is: no verdict: %s", name, a.Reason())
	}
	reason := target.Shorten(a.Reason())
	if good, err = store.At(g.Store).Fill(good); err != nil {
		return fmt.Errorf("%s is bad (%s) and stays: %w", name, reason, err)
	}
	r := target.Rehearse(ctx, t, good.Files, g.Store, judge)
	if r.Answer.Verdict != validator.Good {
		return fmt.Errorf("%s is bad (%s) and stays: the last known good files give %s now: %s", name, reason, r.Answer.Verdict, target.Shorten(r.Answer.Reason()))
	}
	if again, err := target.Read(pathsOf(t, good)); err != nil || again.Digest != now.Digest {
		return errors.Join(fmt.Errorf("%s stays as it is: its files have changed meanwhile", name), err)
	}
	aside, err := g.restore(good, r.Extra, name)
	if err == nil && g.Applied != nil {
		err = g.Applied(ctx)
	}
	g.report(journal.Change{Time: began.UTC(), Targets: []string{name}, Took: g.Now().Sub(began).Round(time.Millisecond).String()}, reason, aside, err)
	return nil
}

// BeforeReload returns the reason why a target's files must not be loaded, or nil. It changes nothing: the service keeps its
// old configuration, and the user may still be editing the files. Files that the agent has tested for the change that it is
// carrying out are not tested again.
func (g *Guard) BeforeReload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, guardTime)
	defer cancel()
	if g.tested() {
		return nil
	}
	if a := target.Judge(ctx, g.Target); a.Verdict == validator.Bad {
		return fmt.Errorf("cannot reload %s: its files are bad: %s", g.Target.Name(), target.Shorten(a.Reason()))
	}
	return nil
}

// tested reports whether the agent has just tested the files as they are now, and is about to have them loaded.
func (g *Guard) tested() bool {
	b, err := store.At(g.Store).Begun()
	if err != nil || b == nil || b.Tested[g.Target.Name()] == "" {
		return false
	}
	now, err := target.Read(g.Target.Paths())
	return err == nil && now.Digest == b.Tested[g.Target.Name()]
}

// judge tests the files of a target. It gives no verdict if the only problem of a keepalived.conf is missing interfaces: at
// boot they may still appear.
func judge(ctx context.Context, t target.Target) validator.Answer {
	a := target.Judge(ctx, t)
	if t.Name() == "keepalived" && keepalived.InterfacesAreMissing(a) {
		a.Verdict = validator.None
	}
	return a
}

// good returns the last known good state of a target, if there is one.
func (g *Guard) good(name string) (store.Good, bool, error) {
	goods, err := store.At(g.Store).Goods()
	if err != nil {
		return store.Good{}, false, err
	}
	good, ok := goods[name]
	return good, ok && len(good.Files) > 0, nil
}

// pathsOf returns the paths of a target's files, and of its last known good files.
func pathsOf(t target.Target, good store.Good) []string {
	paths := t.Paths()
	for _, f := range good.Files {
		paths = append(paths, f.Path)
	}
	return paths
}

// restore puts the last known good files back, and sets all others aside. It returns the new names of the files that were
// there.
func (g *Guard) restore(good store.Good, extra []string, name string) (aside []string, err error) {
	keep := func(path string) error {
		as, err := target.SetAside(path, g.Now(), "bad-at-start")
		if err == nil {
			aside = append(aside, as)
		}
		return err
	}
	for _, f := range good.Files {
		if now, _, err := target.ReadFile(f.Path); err == nil && now.Digest == f.Digest {
			continue
		}
		if err := keep(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return aside, err
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return aside, fmt.Errorf("cannot put back the last known good files of %s: %w", name, err)
		}
		if err := durable.WriteFile(f.Path, f.Data, f.Mode, f.UID, f.GID); err != nil {
			return aside, err
		}
	}
	for _, path := range extra {
		if err := keep(path); err != nil {
			return aside, err
		}
		if err := durable.Remove(path); err != nil {
			return aside, err
		}
	}
	return aside, nil
}

// report writes what was done to the journal of changes and to the log.
func (g *Guard) report(c journal.Change, reason string, aside []string, err error) {
	c.Verdict = journal.RolledBack
	c.Reason = "before a start: " + reason
	if len(aside) > 0 {
		c.Reason += "; set aside as " + strings.Join(aside, ", ")
	}
	if err != nil {
		c.Verdict = journal.Failed
		c.Reason += "; " + err.Error()
	}
	number, err := store.At(g.Store).Record(c)
	if err != nil {
		g.Log.Error(err.Error())
	}
	g.Log.Error("change "+string(c.Verdict), "number", number, "targets", strings.Join(c.Targets, ","), "reason", c.Reason, "took", c.Took)
}
