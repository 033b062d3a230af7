package agent

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/health"
)

// shownChanges is how many of the last changes status tells.
const shownChanges = 10

// statusTime bounds how long each question may take that status asks of others.
const statusTime = time.Second

// status is what the daemon knows, and what the disk, the kernel and systemd say.
func (d *Daemon) status(ctx context.Context) control.Status {
	s := d.Observe(ctx)
	s.Daemon = control.Daemon{Running: true, PID: d.PID, Since: d.started.UTC()}
	for _, p := range d.panics.List() {
		s.Daemon.Panics = append(s.Daemon.Panics, control.Panic(p))
	}
	held, _ := vip.Addresses()
	s.Instances = d.currentInstances(ctx, d.vrrp.list(), held)
	d.mu.Lock()
	defer d.mu.Unlock()
	// A guard may have had the last word.
	if d.last != nil && (s.LastChange == nil || d.last.Number >= s.LastChange.Number) {
		s.LastChange = d.last
	}
	return s
}

// Observe is the status as far as it can be seen without the daemon.
func (d *Daemon) Observe(ctx context.Context) control.Status {
	s := control.Status{Cluster: d.Conf.Cluster, Node: d.Conf.Node, Versions: control.Versions{Agent: d.Version}}
	if mark, _ := maintenance.Read(d.Paths.Mark); mark != nil {
		s.Maintenance, s.MaintenanceUntil = true, mark.Until
	}
	st := store.At(d.Paths.Store)
	goods, err := st.Goods()
	if err != nil {
		goods = nil
	}
	for _, t := range d.targets() {
		ct := control.Target{Name: t.name(), Unit: t.unit(), Generation: goods[t.name()].Generation}
		d.panics.Guard("the status of "+t.name(), func() { ct = d.target(ctx, t, goods) })
		s.Targets = append(s.Targets, ct)
	}
	if changes, err := st.Changes(); err == nil && len(changes) > 0 {
		last := changes[len(changes)-1]
		s.LastChange = &last
		s.Changes = changes[max(0, len(changes)-shownChanges):]
		slices.Reverse(s.Changes)
	}
	held, _ := vip.Addresses()
	s.VIPs = d.vips(held)
	if d.vrrp == nil {
		for _, i := range d.currentInstances(ctx, nil, held) {
			i.Why = "only the daemon hears what keepalived tells"
			s.Instances = append(s.Instances, i)
		}
	}
	info, err := health.Ask(d.Conf.HAProxy.CheckSocket, time.Now().Add(statusTime))
	if err != nil {
		s.HAProxy.Why = err.Error()
	} else {
		s.HAProxy = control.HAProxy{Answers: !info.Stopping, PID: info.PID}
		s.Versions.HAProxy = info.Version
	}
	s.Versions.Keepalived = d.keepalivedVersion(ctx)
	s.Firewall = d.firewall(ctx)
	return s
}

// target is a target's files, compared with the last known good ones.
func (d *Daemon) target(ctx context.Context, t target, goods map[string]store.Good) control.Target {
	ct := control.Target{Name: t.name(), Unit: t.unit(), Generation: goods[t.name()].Generation}
	if t.unit() != "" {
		uctx, cancel := context.WithTimeout(ctx, statusTime)
		if u, err := d.Bus.Service(uctx, t.unit()); err == nil {
			ct.Active = u.Active
		}
		cancel()
	}
	good := map[string]string{}
	for _, f := range goods[t.name()].Files {
		good[f.Path] = f.Digest
	}
	paths := t.paths()
	if now, err := read(paths); err == nil {
		ct.Digest = now.digest
	}
	if ct.Generation > 0 {
		ct.GoodDigest = digestOf(goods[t.name()])
		ct.Drift = ct.Digest != ct.GoodDigest
	}
	for p := range good {
		paths = append(paths, p) // one that was removed is drift, too
	}
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		f := control.File{Path: p, GoodDigest: good[p]}
		now, _, err := readFile(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f.State = "missing"
		case err != nil:
			f.State, f.Why = "unreadable", err.Error()
		case good[p] == "" && ct.Generation == 0:
			f.State, f.Digest = "unproven", now.Digest
		case now.Digest == good[p]:
			f.State, f.Digest = "good", now.Digest
		default:
			f.State, f.Digest = "drift", now.Digest
		}
		ct.Files = append(ct.Files, f)
	}
	return ct
}

// versionAge is how long a version is told that a program was run to find out.
const versionAge = time.Minute

// keepalivedVersion is what keepalived said of itself lately.
func (d *Daemon) keepalivedVersion(ctx context.Context) string {
	d.mu.Lock()
	version, asked := d.keepalivedSaid, d.keepalivedAsked
	d.mu.Unlock()
	if version != "" && time.Since(asked) < versionAge {
		return version
	}
	version = d.askKeepalivedVersion(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keepalivedSaid, d.keepalivedAsked = version, time.Now()
	return version
}

// askKeepalivedVersion is what keepalived says of itself: "Keepalived v2.2.8 (…)".
func (d *Daemon) askKeepalivedVersion(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	r, err := d.Run(ctx, "keepalived", "--version")
	if err != nil {
		return ""
	}
	m := regexp.MustCompile(`Keepalived v(\d+(?:\.\d+)+)`).FindStringSubmatch(r.Output)
	if m == nil {
		return ""
	}
	return m[1]
}
