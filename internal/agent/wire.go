package agent

import (
	"path/filepath"

	"github.com/hapair/hapair/internal/agent/change"
	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/duplicate"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/reach"
	"github.com/hapair/hapair/internal/agent/servers"
	"github.com/hapair/hapair/internal/agent/status"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/track"
	"github.com/hapair/hapair/internal/agent/trial"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/agent/watch"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/neighbor"
	"github.com/hapair/hapair/internal/wellknown"
)

// open creates the parts of the daemon.
func (d *Daemon) open() error {
	d.started = d.Now()
	d.reports.log = d.Log
	d.panics = &contain.Panics{Log: d.Log, Now: d.Now}
	s, err := store.Open(d.Paths.Store)
	if err != nil {
		return err
	}
	found, err := s.SetAside(d.Now())
	for _, why := range found {
		d.Log.Error(why.Error())
	}
	if err != nil {
		return err
	}
	fifo := d.Conf.Keepalived.NotifyFIFO
	d.vrrp = &vrrp.States{Path: fifo, Track: d.Conf.Keepalived.TrackFile, Kept: filepath.Join(filepath.Dir(fifo), "vrrp.json"), Log: d.Log, Now: d.Now,
		Panics: d.panics}
	d.vrrp.Recall(vrrp.Plausible(d.Conf.VIPs))
	d.vrrp.WriteHolderFiles()
	d.duplicates = &duplicate.Watch{VIPs: d.Conf.VIPs, Interval: duplicate.DefaultInterval, Held: vip.Addresses, Ask: neighbor.Ask, Log: d.Log,
		Look: make(chan struct{}, 1), Contain: d.panics.Guard}
	d.reach = d.newReach()
	d.vrrp.Moved = d.lookForOthers
	d.hooks = d.newHooks()
	d.servers = &servers.Keeper{File: filepath.Join(d.Paths.Store, "servers.json"), Master: haproxy.Socket(d.Conf.HAProxy.MasterSocket), Log: d.Log, Now: d.Now}
	if err := d.servers.Load(); err != nil {
		d.Log.Error(err.Error())
	}
	d.vrrp.Changed = d.hooks.Look
	d.track = &track.Tracker{File: d.Conf.Keepalived.TrackFile, Socket: d.Conf.HAProxy.CheckSocket, Mark: d.Paths.Mark, Log: d.Log,
		Restart: track.Restarter{Units: d.Bus, Unit: d.Conf.HAProxy.Unit, MasterSocket: d.Conf.HAProxy.MasterSocket, Log: d.Log}.Restart, Panics: d.panics, Point: d.Point}
	d.track.Start() // before keepalived, which starts after this daemon, reads it: during maintenance it says 1 from the beginning
	d.service = maintenance.New(d.Conf, d.Paths.Mark, d.runs, d.Now, d.Log)
	d.service.Give = func(why error) error { d.track.Give(why); return nil }
	d.service.Weaken, d.service.States = d.vrrp.Weaken, d.vrrp.Map
	d.targets = target.Node{Conf: d.Conf, ProcSys: d.Paths.ProcSys, Store: s, Run: d.Run, Units: d.Bus, States: d.vrrp.Map}.Targets()
	d.changer = change.New(change.Config{Targets: d.targets, Store: s, Log: d.Log, Now: d.Now, Panics: d.panics, Point: d.Point})
	d.observer = d.newObserver()
	d.applies = make(chan applyJob)
	if d.last, err = d.changer.Resume(); err != nil {
		return err
	}
	d.watcher, err = watch.New()
	return err
}

// follower returns the follower of this machine's keepalived.
func (d *Daemon) follower() vrrp.Follower {
	return vrrp.Follower{Units: d.Bus, Unit: d.Conf.Keepalived.Unit, Config: d.Paths.Config, Log: d.Log,
		Runs: d.runs}
}

// runs returns the configuration that keepalived runs on.
func (d *Daemon) runs() keepalived.File {
	return target.RunningKeepalived(store.At(d.Paths.Store), d.Conf.Keepalived)
}

// newObserver returns the source of the status.
func (d *Daemon) newObserver() *status.Observer {
	return &status.Observer{Conf: d.Conf, Mark: d.Paths.Mark, Store: store.At(d.Paths.Store), Targets: d.targets, Units: d.Bus, Run: d.Run,
		Version: d.Version, Revisions: trial.At(filepath.Join(d.Paths.Store, filepath.Base(wellknown.Revisions))), Daemon: &status.Daemon{PID: d.PID, Since: d.started, Panics: d.panics, Instances: d.vrrp.List, Others: d.duplicates.Others,
			LastChange: d.lastChange, Servers: d.servers.List, OnChange: d.hooks.Status}}
}

// lastChange returns the last change that this daemon has carried out or found; nil if there is none.
func (d *Daemon) lastChange() *journal.Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// newReach returns the search for the peers to whose addresses VRRP is sent.
func (d *Daemon) newReach() *reach.Watch {
	w := &reach.Watch{Holding: d.vrrp.Holding, Unresolved: neighbor.Unresolved, Greet: neighbor.Greet, Log: d.Log, Look: make(chan struct{}, 1)}
	for _, p := range d.Conf.Peers {
		w.Peers = append(w.Peers, p.Addresses...)
	}
	for _, v := range d.Conf.VIPs {
		for _, a := range v.Addresses {
			w.VIPs = append(w.VIPs, a.Addr())
		}
	}
	return w
}
