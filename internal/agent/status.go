package agent

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
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
	s.Instances = d.instances(ctx, d.vrrp.List(), held)
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
	for _, t := range d.node().Targets() {
		ct := control.Target{Name: t.Name(), Unit: t.Unit(), Generation: goods[t.Name()].Generation}
		d.panics.Guard("the status of "+t.Name(), func() { ct = d.target(ctx, t, goods) })
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
		for _, i := range d.instances(ctx, nil, held) {
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
func (d *Daemon) target(ctx context.Context, t target.Target, goods map[string]store.Good) control.Target {
	ct := control.Target{Name: t.Name(), Unit: t.Unit(), Generation: goods[t.Name()].Generation}
	if t.Unit() != "" {
		uctx, cancel := context.WithTimeout(ctx, statusTime)
		if u, err := d.Bus.Service(uctx, t.Unit()); err == nil {
			ct.Active = u.Active
		}
		cancel()
	}
	good := map[string]string{}
	for _, f := range goods[t.Name()].Files {
		good[f.Path] = f.Digest
	}
	paths := t.Paths()
	if now, err := target.Read(paths); err == nil {
		ct.Digest = now.Digest
	}
	if ct.Generation > 0 {
		ct.GoodDigest = target.DigestOf(goods[t.Name()])
		ct.Drift = ct.Digest != ct.GoodDigest
	}
	for p := range good {
		paths = append(paths, p) // one that was removed is drift, too
	}
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		f := control.File{Path: p, GoodDigest: good[p]}
		now, _, err := target.ReadFile(p)
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

// instances are the node's instances, told by the daemon or, with nil, by nobody.
func (d *Daemon) instances(ctx context.Context, told map[string]vrrp.Instance, held []vip.Held) []control.Instance {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	unit, err := d.Bus.Service(ctx, d.Conf.Keepalived.Unit)
	var all []control.Instance
	for _, o := range vrrp.Observe(told, d.Conf.VIPs, held, unit, err) {
		i := control.Instance{Name: o.Name, State: string(o.State), Why: o.Doubt, Priority: o.Priority, Since: o.Since, SinceBoot: o.SinceBoot,
			Kernel: o.Kernel.String()}
		if o.Doubt != "" {
			i.State = control.Unknown
		}
		all = append(all, i)
	}
	return all
}

// vips are the virtual IPs as the kernel has them, and who else answers for them.
func (d *Daemon) vips(held []vip.Held) []control.VIP {
	var all []control.VIP
	for _, v := range d.Conf.VIPs {
		on, _ := vip.Of(v, held)
		cv := control.VIP{Name: v.Name, Interface: v.Interface, Held: len(on) > 0, Instances: v.Instances}
		for _, a := range v.Addresses {
			cv.Addresses = append(cv.Addresses, a.String())
		}
		for _, a := range on {
			cv.HeldAddresses = append(cv.HeldAddresses, a.String())
			d.others(&cv, v, vip.Held{Interface: v.Interface, Address: a})
		}
		all = append(all, cv)
	}
	return all
}

// others adds who else answers for an address that is held.
func (d *Daemon) others(cv *control.VIP, v config.VIP, h vip.Held) {
	if d.rivals == nil {
		return
	}
	others, err := d.rivals.Others(h)
	if err != nil {
		cv.OtherHoldersUnknown = err.Error()
	}
	for _, o := range others {
		cv.OtherHolders = append(cv.OtherHolders, control.OtherHolder{Address: h.Address.String(), HardwareAddress: o})
	}
}
