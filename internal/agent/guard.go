package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/tool"
)

// GuardTargets are what Guard knows.
var GuardTargets = [...]string{"haproxy", "keepalived", "sysctl"}

// guardTime bounds all that a guard does: a start must not wait for it for long. systemd gives a start 90 seconds.
const guardTime = 15 * time.Second

// Guard stands before a service's start and reload. It is a process of its own and needs no daemon.
type Guard struct {
	Conf  *config.Config
	Paths Paths
	Run   tool.Runner
	Now   func() time.Time
	Log   *slog.Logger
}

// BeforeStart sets bad files of a target aside and puts the last known good ones in their place. It does so only where the
// files fail their test and the last known good ones pass the same test now; else everything stays as it is. An error tells
// why bad files stay, and is no reason not to start.
func (g *Guard) BeforeStart(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, guardTime)
	defer cancel()
	t, err := g.target(name)
	if err != nil {
		return err
	}
	good, ok, err := g.good(name)
	if err != nil || !ok {
		return err
	}
	began := g.Now()
	now, err := read(all(t, good))
	if err != nil {
		return err
	}
	if now.digest == digestOf(good) {
		return nil // there is nothing better to go back to
	}
	a := g.judge(ctx, t)
	switch a.Verdict {
	case tool.Good:
		return nil
	case tool.None:
		return fmt.Errorf("%s stays as it is: no verdict: %s", name, a.Reason())
	}
	reason := shorten(a.Reason())
	if good, err = store.At(g.Paths.Store).Fill(good); err != nil {
		return fmt.Errorf("%s is bad (%s) and stays: %w", name, reason, err)
	}
	r := rehearse(ctx, t, good.Files, g.Paths.Store, g.judge)
	if r.answer.Verdict != tool.Good {
		return fmt.Errorf("%s is bad (%s) and stays: the last known good files give %s now: %s", name, reason, r.answer.Verdict, shorten(r.answer.Reason()))
	}
	if again, err := read(all(t, good)); err != nil || again.digest != now.digest {
		return errors.Join(fmt.Errorf("%s stays as it is: its files have changed meanwhile", name), err)
	}
	aside, err := g.restore(good, r.extra, name)
	if err == nil && name == "sysctl" {
		err = g.applySysctl(ctx)
	}
	g.tell(control.Change{Time: began.UTC(), Targets: []string{name}, Took: g.Now().Sub(began).Round(time.Millisecond).String()}, reason, aside, err)
	return nil
}

// BeforeReload tells why a target's files must not be loaded, or nil. It changes nothing: the service has its old
// configuration to stay on, and the files are the editor's.
func (g *Guard) BeforeReload(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, guardTime)
	defer cancel()
	t, err := g.target(name)
	if err != nil {
		return err
	}
	if a := judge(ctx, t); a.Verdict == tool.Bad {
		return fmt.Errorf("cannot reload %s: its files are bad: %s", name, shorten(a.Reason()))
	}
	return nil
}

// target is one of the daemon's own.
func (g *Guard) target(name string) (target, error) {
	d := &Daemon{Conf: g.Conf, Paths: g.Paths, Run: g.Run}
	for _, t := range d.targets() {
		if t.name() == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("there is no target %q", name)
}

// judge is the test of a target. Of a keepalived.conf whose only fault are interfaces that are not there it says nothing:
// at boot they may still come.
func (g *Guard) judge(ctx context.Context, t target) tool.Answer {
	a := judge(ctx, t)
	if t.name() == "keepalived" && keepalived.InterfacesAreMissing(a) {
		a.Verdict = tool.None
	}
	return a
}

// good is the last known good state of a target, if there is one.
func (g *Guard) good(name string) (store.Good, bool, error) {
	goods, err := store.At(g.Paths.Store).Goods()
	if err != nil {
		return store.Good{}, false, err
	}
	good, ok := goods[name]
	return good, ok && len(good.Files) > 0, nil
}

// all are the paths of a target's files and of those that were good.
func all(t target, good store.Good) []string {
	paths := t.paths()
	for _, f := range good.Files {
		paths = append(paths, f.Path)
	}
	return paths
}

// restore puts the last known good files in their places, takes the extra ones away, and returns under which names what
// was there lies now.
func (g *Guard) restore(good store.Good, extra []string, name string) (aside []string, err error) {
	keep := func(path string) error {
		as, err := setAside(path, g.Now(), "bad-at-start")
		if err == nil {
			aside = append(aside, as)
		}
		return err
	}
	for _, f := range good.Files {
		if now, _, err := readFile(f.Path); err == nil && now.Digest == f.Digest {
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

// applySysctl puts the settings in force that systemd-sysctl could not read when the machine started.
func (g *Guard) applySysctl(ctx context.Context) error {
	r, err := g.Run(ctx, "/usr/lib/systemd/systemd-sysctl", g.Conf.Sysctl.File)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("cannot apply %s: systemd-sysctl ended with status %d: %s", g.Conf.Sysctl.File, r.Status, shorten(r.Output))
	}
	return err
}

// tell writes what was done to the journal of changes and to the log.
func (g *Guard) tell(c control.Change, reason string, aside []string, err error) {
	c.Verdict = control.RolledBack
	c.Reason = "before a start: " + reason
	if len(aside) > 0 {
		c.Reason += "; set aside as " + strings.Join(aside, ", ")
	}
	if err != nil {
		c.Verdict = control.Failed
		c.Reason += "; " + err.Error()
	}
	number, err := store.At(g.Paths.Store).Record(c)
	if err != nil {
		g.Log.Error(err.Error())
	}
	g.Log.Error("change "+string(c.Verdict), "number", number, "targets", strings.Join(c.Targets, ","), "reason", c.Reason, "took", c.Took)
}

// shorten keeps a reason in bounds: a broken file can make thousands of messages.
func shorten(s string) string {
	const longest = 1000
	s = strings.Join(slices.Collect(strings.FieldsSeq(s)), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + " …"
	}
	return s
}
