// Package agent is the daemon: it watches the files of haproxy, keepalived and sysctl, lets the real programs judge new
// bytes, reloads, proves, and commits or rolls back. And it tells keepalived, by a track file, whether haproxy answers.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/agent/change"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/duplicate"
	"github.com/hapair/hapair/internal/agent/hook"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/reach"
	"github.com/hapair/hapair/internal/agent/status"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/track"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/agent/watch"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/neighbor"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/tool"
)

// Paths are where the daemon keeps and finds what is its own.
type Paths struct {
	Config  string // agent.yaml
	Store   string // /var/lib/ha-agent
	Control string // /run/ha-agent/control.sock
	Mark    string // the maintenance mark
	ProcSys string // /proc/sys
}

// Daemon is ha-agent run.
type Daemon struct {
	Conf    *config.Config
	Paths   Paths
	Bus     *systemd.Bus
	Notify  systemd.Notifier
	Run     tool.Runner
	Log     *slog.Logger
	Now     func() time.Time
	PID     int
	Version string
	// Point is called with the name of each step of a change; nil: it is not. A build for tests ends the agent there.
	Point func(name string)

	started    time.Time
	vrrp       *vrrp.States
	track      *track.Tracker
	service    *maintenance.Service
	targets    []target.Target
	changer    *change.Changer
	watcher    *watch.Watcher
	applies    chan applyJob // wait for their turn in the loop
	duplicates *duplicate.Watch
	reach      *reach.Watch
	hooks      *hook.Runner
	panics     *contain.Panics
	observer   *status.Observer
	retry      contain.Retry // by the loop alone

	reports reporter // by the loop alone

	mu   sync.Mutex
	last *journal.Change
}

// ErrConfigChanged says that agent.yaml is another one now: the daemon is to be started anew.
var ErrConfigChanged = errors.New("the agent's configuration has changed")

// changeTime is how long a change may take at most. Then the watchdog is no longer told that all is well.
const changeTime = 10 * time.Minute

// Serve runs until ctx ends, which is no error.
func (d *Daemon) Serve(ctx context.Context) error {
	if err := d.open(); err != nil {
		return err
	}
	defer d.watcher.Close()
	l, err := control.Listen(d.Paths.Control)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for part, run := range map[string]func(context.Context){
		"the VRRP states": d.vrrp.Run, "the track file": d.track.Run, "the search for other holders": d.duplicates.Run,
		"the search for peers": d.reach.Run, "the on_change commands": d.hooks.Run, "the watch of keepalived": d.follower().Run,
		"the metrics": d.serveMetrics, "the control socket": func(ctx context.Context) { d.serveControl(ctx, l) },
	} {
		wg.Go(func() { d.panics.Keep(ctx, part, run) })
	}
	if err := d.Notify.Ready("watching"); err != nil {
		d.Log.Warn("cannot tell systemd that the agent is ready", "error", err)
	}
	defer d.Notify.Stopping("ending")
	return d.loop(ctx)
}

// open makes what the daemon consists of.
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
	d.vrrp.TellHolder()
	d.duplicates = &duplicate.Watch{VIPs: d.Conf.VIPs, Interval: duplicate.DefaultInterval, Held: vip.Addresses, Ask: neighbor.Ask, Log: d.Log,
		Look: make(chan struct{}, 1), Contain: d.panics.Guard}
	d.reach = d.newReach()
	d.vrrp.Moved = d.lookForOthers
	d.hooks = d.newHooks()
	d.vrrp.Changed = d.hooks.Look
	d.vrrp.Left = vrrp.GroupResigner{Runs: d.runs, Addresses: vip.Addresses, Resign: advert.Resign, Log: d.Log}.Left
	d.track = &track.Tracker{File: d.Conf.Keepalived.TrackFile, Socket: d.Conf.HAProxy.CheckSocket, Mark: d.Paths.Mark, Log: d.Log,
		Restart: track.Restarter{Units: d.Bus, Unit: d.Conf.HAProxy.Unit, MasterSocket: d.Conf.HAProxy.MasterSocket, Log: d.Log}.Restart, Panics: d.panics, Point: d.Point}
	d.track.Start() // before keepalived, which starts after this daemon, looks at it: under maintenance it says no at once
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

// follower is that of this machine's keepalived.
func (d *Daemon) follower() vrrp.Follower {
	return vrrp.Follower{Units: d.Bus, Unit: d.Conf.Keepalived.Unit, Config: d.Paths.Config, Log: d.Log,
		Runs: d.runs}
}

// runs is the configuration that keepalived runs on.
func (d *Daemon) runs() keepalived.File {
	return target.RunningKeepalived(store.At(d.Paths.Store), d.Conf.Keepalived)
}

// newObserver returns what answers a request for the status.
func (d *Daemon) newObserver() *status.Observer {
	return &status.Observer{Conf: d.Conf, Mark: d.Paths.Mark, Store: store.At(d.Paths.Store), Targets: d.targets, Units: d.Bus, Run: d.Run,
		Version: d.Version, Daemon: &status.Daemon{PID: d.PID, Since: d.started, Panics: d.panics, Instances: d.vrrp.List, Others: d.duplicates.Others,
			OnChange: d.hooks.Status, LastChange: d.lastChange}}
}

// lastChange returns the last change that this daemon has carried out or found; nil: there is none.
func (d *Daemon) lastChange() *journal.Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func (d *Daemon) serveControl(ctx context.Context, l net.Listener) {
	err := control.Serve(ctx, l, func(ctx context.Context, req control.Request) (result any, err error) {
		err = d.panics.Contain("the control socket", func() (err error) {
			result, err = d.answer(ctx, req)
			return err
		})
		return result, err
	})
	if err != nil {
		d.Log.Error(err.Error())
	}
}

// answer answers a request on the control socket.
func (d *Daemon) answer(ctx context.Context, req control.Request) (any, error) {
	switch {
	case req.Command == "status":
		return d.observer.Observe(ctx), nil
	case req.Command == "maintenance" && req.Maintenance != nil:
		done, err := d.service.Answer(ctx, maintenance.Request(*req.Maintenance))
		return control.Maintenance(done), err
	case req.Command == "apply" && req.Apply != nil:
		return d.answerApply(ctx, *req.Apply)
	}
	return nil, fmt.Errorf("the daemon knows no command %q", req.Command)
}

// loop is the one place where things are decided. A change is carried out beside it, one at a time: what comes meanwhile
// is one more, when it is done.
func (d *Daemon) loop(ctx context.Context) error {
	own, err := target.Read([]string{d.Paths.Config})
	if err != nil {
		return err
	}
	events := d.watcher.Changed
	var done chan error // of the change that is being carried out
	var busy time.Time  // since when
	pace := d.pace(true)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	begin := func(work func() error) {
		done, busy = make(chan error, 1), d.Now()
		go func(done chan<- error) { done <- d.panics.Contain("a round", work) }(done)
	}
	round := func() error { return d.changer.Round(ctx, events, d.keepLast) }
	d.panics.Guard("the watch of files", d.watch)
	begin(round)
	for {
		in, applies := events, d.applies
		if done != nil {
			in, applies = nil, nil // the round itself waits until nothing happens any more
		}
		select {
		case <-ctx.Done():
			if done != nil {
				<-done
			}
			return nil
		case err := <-d.watcher.Errors:
			d.Log.Warn("cannot see every change of a file at once", "error", err)
		case <-in:
			if d.retry.Due(d.Now(), d.files) {
				begin(round)
			} // else at a tick
		case job := <-applies:
			begin(func() error { return d.apply(ctx, job) })
		case err := <-done:
			done = nil
			d.retry.Note(err, d.Now(), d.files)
			d.reports.round(err)
		case <-tick.C:
			if now := d.pace(done != nil); now != pace {
				pace = now
				tick.Reset(pace)
			}
			if done == nil || d.Now().Sub(busy) < changeTime {
				d.Notify.Watchdog()
			}
			d.lookAround()
			if done == nil {
				if d.panics.Contain("the agent's configuration", func() error { return d.configChanged(own) }) == ErrConfigChanged {
					return ErrConfigChanged
				}
				d.panics.Guard("the watch of files", d.watch)
				if d.retry.Due(d.Now(), d.files) {
					begin(round)
				}
			}
		}
	}
}

// lookAround does what is due besides the files.
func (d *Daemon) lookAround() {
	d.panics.Guard(track.Part, d.track.Look)
	d.panics.Guard("the end of maintenance", func() {
		if err := d.service.Expire(); err != nil {
			d.reports.problem(err)
		}
	})
	d.panics.Guard("the holder's files", d.vrrp.TellHolder) // keepalived may have made the file since it told its state
	d.lookForOthers()
}

// configChanged returns ErrConfigChanged if agent.yaml is another one than at the start, and usable.
func (d *Daemon) configChanged(own target.Snapshot) error {
	if now, err := target.Read([]string{d.Paths.Config}); err == nil && now.Digest != own.Digest && d.usable() {
		return ErrConfigChanged
	}
	return nil
}

// files is a digest of all files of all targets, as far as they can be read without a panic.
func (d *Daemon) files() string {
	var all []string
	for _, t := range d.targets {
		d.panics.Guard("the digest of files", func() {
			if s, err := target.Read(t.Paths()); err == nil {
				all = append(all, t.Name(), s.Digest)
			}
		})
	}
	return strings.Join(all, " ")
}

// usable tells whether the agent could start on its new configuration.
func (d *Daemon) usable() bool {
	if _, err := config.Load(d.Paths.Config); err != nil {
		d.reports.problem(err)
		return false
	}
	return true
}

// watch watches the directories of what the targets consist of now.
func (d *Daemon) watch() {
	paths := []string{d.Paths.Config}
	for _, t := range d.targets {
		paths = append(paths, t.Paths()...)
	}
	if err := d.watcher.Watch(paths); err != nil {
		d.reports.problem(err)
	}
}
