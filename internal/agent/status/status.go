// Package status collects the status of a node: from the disk, the kernel and systemd, and from the daemon if it runs.
package status

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/certificates"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/trial"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

// shownChanges is the number of recent changes in a status.
const shownChanges = 10

// statusTime is the time limit of each question to another program.
const statusTime = time.Second

// Units is the part of systemd that an Observer needs.
type Units interface {
	Service(ctx context.Context, unit string) (systemd.Unit, error)
}

// Observer collects the status of a node.
type Observer struct {
	Conf    *config.Config
	Mark    string // the maintenance mark
	Store   *store.Store
	Targets []target.Target
	Units   Units
	Run     validator.Runner
	Version string // of the agent
	// Revisions are those that rollouts brought; nil: they are not looked at.
	Revisions *trial.Store
	Daemon    *Daemon // nil: it does not run

	mu sync.Mutex
	// The version that keepalived printed, and when.
	said  string
	asked time.Time
}

// Daemon has what only the daemon knows.
type Daemon struct {
	PID        int
	Since      time.Time
	Panics     *contain.Panics
	Instances  func() map[string]vrrp.Instance               // as keepalived reported them
	Others     func(held vip.Held) (who []string, err error) // hardware addresses of other machines that answer for an address
	OnChange   func(vip string) *control.OnChange            // nil: the VIP has no command
	Servers    func() []control.ServerState                  // what operators have set
	LastChange func() *journal.Change                        // nil: there was none
}

// Observe returns the current status.
func (o *Observer) Observe(ctx context.Context) control.Status {
	s := control.Status{Cluster: o.Conf.Cluster, Node: o.Conf.Node, Versions: control.Versions{Agent: o.Version}}
	if mark, _ := maintenance.Read(o.Mark); mark != nil {
		s.Maintenance, s.MaintenanceUntil = true, mark.Until
	}
	goods, err := o.Store.Goods()
	if err != nil {
		goods = nil
	}
	for _, t := range o.Targets {
		s.Targets = append(s.Targets, o.contained(ctx, t, goods))
	}
	if changes, err := o.Store.Changes(); err == nil && len(changes) > 0 {
		last := changes[len(changes)-1]
		s.LastChange = &last
		s.Changes = changes[max(0, len(changes)-shownChanges):]
		slices.Reverse(s.Changes)
	}
	held, _ := vip.Addresses()
	s.VIPs = o.vips(held)
	s.Instances = o.instances(ctx, held)
	asked, cancel := context.WithTimeout(ctx, statusTime)
	info, err := haproxy.Socket(o.Conf.HAProxy.CheckSocket).ShowInfo(asked)
	cancel()
	if err != nil {
		s.HAProxy.Why = err.Error()
	} else {
		s.HAProxy = control.HAProxy{Answers: !info.Stopping, PID: info.PID}
		s.Versions.HAProxy = info.Version
	}
	s.Versions.Keepalived = o.keepalivedVersion(ctx)
	s.Firewall = o.firewall(ctx)
	if o.Revisions != nil {
		s.Revision = o.Revisions.Status()
	}
	s.Certificates = certificates.Read(o.Conf.HAProxy.CertificatePaths())
	if o.Daemon != nil {
		o.Daemon.add(&s)
	}
	return s
}

// add adds the daemon's part, and the last change, which may be a guard's.
func (d *Daemon) add(s *control.Status) {
	s.Daemon = control.Daemon{Running: true, PID: d.PID, Since: d.Since.UTC()}
	if d.Servers != nil {
		s.Servers = d.Servers()
	}
	for _, p := range d.Panics.List() {
		s.Daemon.Panics = append(s.Daemon.Panics, control.Panic(p))
	}
	if last := d.LastChange(); last != nil && (s.LastChange == nil || last.Number >= s.LastChange.Number) {
		s.LastChange = last
	}
}

// contained is like target, but contains a panic, so that the other targets are still shown.
func (o *Observer) contained(ctx context.Context, t target.Target, goods map[string]store.Good) control.Target {
	ct := control.Target{Name: t.Name(), Unit: t.Unit(), Generation: goods[t.Name()].Generation}
	if o.Daemon == nil {
		return o.target(ctx, t, goods)
	}
	o.Daemon.Panics.Guard("the status of "+t.Name(), func() { ct = o.target(ctx, t, goods) })
	return ct
}

// target compares a target's files with the last known good ones.
func (o *Observer) target(ctx context.Context, t target.Target, goods map[string]store.Good) control.Target {
	ct := control.Target{Name: t.Name(), Unit: t.Unit(), Generation: goods[t.Name()].Generation}
	if t.Unit() != "" {
		uctx, cancel := context.WithTimeout(ctx, statusTime)
		if u, err := o.Units.Service(uctx, t.Unit()); err == nil {
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
		paths = append(paths, p) // a removed file is drift, too
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
