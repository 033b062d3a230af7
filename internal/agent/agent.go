package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/hook"
	"github.com/hapair/hapair/internal/agent/reach"
	"github.com/hapair/hapair/internal/agent/rivals"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/vip"
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

	started time.Time
	vrrp    *vrrp
	track   *tracker
	service *maintainer
	changer *changer
	watcher *watch.Watcher
	applies chan applyJob // wait for their turn in the loop
	rivals  *rivals.Watch
	reach   *reach.Watch
	hooks   *hook.Runner
	panics  *panics
	retry   retry // by the loop alone

	told string // by the loop alone: the last thing that kept it from a verdict

	mu   sync.Mutex
	last *control.Change
	// What keepalived said of its version, and when.
	keepalivedSaid  string
	keepalivedAsked time.Time
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
		"the VRRP states": d.vrrp.read, "the track file": d.track.run, "the search for other holders": d.rivals.Run,
		"the search for peers": d.reach.Run, "the on_change commands": d.hooks.Run, "the watch of keepalived": d.followKeepalived,
		"the metrics": d.serveMetrics, "the control socket": func(ctx context.Context) { d.serveControl(ctx, l) },
	} {
		wg.Go(func() { d.panics.keep(ctx, part, run) })
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
	d.panics = &panics{log: d.Log, now: d.Now}
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
	d.vrrp = &vrrp{path: fifo, track: d.Conf.Keepalived.TrackFile, kept: filepath.Join(filepath.Dir(fifo), "vrrp.json"), log: d.Log, now: d.Now,
		panics: d.panics}
	d.vrrp.recall(d.plausible)
	d.vrrp.tellHolder()
	d.rivals = &rivals.Watch{VIPs: d.Conf.VIPs, Interval: rivals.DefaultInterval, Held: vip.Addresses, Ask: neighbor.Ask, Log: d.Log,
		Look: make(chan struct{}, 1), Contain: d.panics.guard}
	d.reach = d.newReach()
	d.vrrp.moved = d.lookForOthers
	d.hooks = d.newHooks(d.vrrp.list)
	d.vrrp.changed = d.hooks.Look
	d.track = &tracker{file: d.Conf.Keepalived.TrackFile, socket: d.Conf.HAProxy.CheckSocket, mark: d.Paths.Mark, log: d.Log,
		restart: d.restartHAProxy, panics: d.panics, point: d.Point}
	d.track.say(nil) // before keepalived, which starts after this daemon, looks at it: under maintenance it says no at once
	d.service = d.maintainer(func(why error) error { d.track.give(why); return nil })
	d.service.weaken, d.service.states = d.vrrp.weaken, d.vrrp.states
	d.changer = newChanger(s, d.Log, d.Now, d.targets())
	d.changer.point, d.changer.panics = d.Point, d.panics
	d.applies = make(chan applyJob)
	if d.last, err = d.changer.resume(); err != nil {
		return err
	}
	d.watcher, err = watch.New()
	return err
}

// plausible tells whether the kernel bears out a state of the agent's last run: a stale MASTER is worse than none.
func (d *Daemon) plausible(i control.Instance) bool {
	held, err := vip.Addresses()
	if err != nil {
		return false
	}
	for _, v := range d.Conf.VIPs {
		if slices.Contains(v.Instances, i.Name) {
			on, _ := vip.Of(v, held)
			return len(v.Instances) > 1 || (len(on) > 0) == (keepalived.State(i.State) == keepalived.Master)
		}
	}
	return false
}

// targets are in the order in which they are reloaded: haproxy binds what sysctl lets it, and keepalived comes last because
// it may move VIPs.
func (d *Daemon) targets() []target {
	states := func() map[string]keepalived.State { return nil }
	if d.vrrp != nil {
		states = d.vrrp.states
	}
	return []target{
		&sysctlTarget{file: d.Conf.Sysctl.File, proc: d.Paths.ProcSys, bus: d.Bus},
		&haproxyTarget{conf: d.Conf.HAProxy, bus: d.Bus, run: d.Run},
		&keepalivedTarget{conf: d.Conf.Keepalived, bus: d.Bus, run: d.Run, states: states, addresses: vip.Addresses, watched: exited,
			runs:  func() keepalived.File { return runningConfig(store.At(d.Paths.Store), d.Conf.Keepalived) },
			split: split{vip.Addresses, neighbor.Ask}},
	}
}

func (d *Daemon) serveControl(ctx context.Context, l net.Listener) {
	err := control.Serve(ctx, l, func(ctx context.Context, req control.Request) (result any, err error) {
		err = d.panics.contain("the control socket", func() (err error) {
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
		return d.status(ctx), nil
	case req.Command == "maintenance" && req.Maintenance != nil:
		return d.service.answer(ctx, *req.Maintenance)
	case req.Command == "apply" && req.Apply != nil:
		return d.answerApply(ctx, *req.Apply)
	}
	return nil, fmt.Errorf("the daemon knows no command %q", req.Command)
}

// loop is the one place where things are decided. A change is carried out beside it, one at a time: what comes meanwhile
// is one more, when it is done.
func (d *Daemon) loop(ctx context.Context) error {
	own, err := read([]string{d.Paths.Config})
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
		go func(done chan<- error) { done <- d.panics.contain("a round", work) }(done)
	}
	round := func() error { return d.round(ctx, events) }
	d.panics.guard("the watch of files", d.watch)
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
			if d.retry.due(d.Now(), d.files) {
				begin(round)
			} // else at a tick
		case job := <-applies:
			begin(func() error { return d.apply(ctx, job) })
		case err := <-done:
			done = nil
			d.retry.note(err, d.Now(), d.files)
			d.report(err)
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
				if d.panics.contain("the agent's configuration", func() error { return d.configChanged(own) }) == ErrConfigChanged {
					return ErrConfigChanged
				}
				d.panics.guard("the watch of files", d.watch)
				if d.retry.due(d.Now(), d.files) {
					begin(round)
				}
			}
		}
	}
}

// lookAround does what is due besides the files.
func (d *Daemon) lookAround() {
	d.panics.guard(trackPart, d.track.look)
	d.panics.guard("the end of maintenance", func() {
		if err := d.service.expire(); err != nil {
			d.reportOnce(err)
		}
	})
	d.panics.guard("the holder's files", d.vrrp.tellHolder) // keepalived may have made the file since it told its state
	d.lookForOthers()
}

// configChanged returns ErrConfigChanged if agent.yaml is another one than at the start, and usable.
func (d *Daemon) configChanged(own snapshot) error {
	if now, err := read([]string{d.Paths.Config}); err == nil && now.digest != own.digest && d.usable() {
		return ErrConfigChanged
	}
	return nil
}

// files is a digest of all files of all targets, as far as they can be read without a panic.
func (d *Daemon) files() string {
	var all []string
	for _, t := range d.changer.targets {
		d.panics.guard("the digest of files", func() {
			if s, err := read(t.paths()); err == nil {
				all = append(all, t.name(), s.digest)
			}
		})
	}
	return strings.Join(all, " ")
}

// usable tells whether the agent could start on its new configuration.
func (d *Daemon) usable() bool {
	if _, err := config.Load(d.Paths.Config); err != nil {
		d.reportOnce(err)
		return false
	}
	return true
}

// watch watches the directories of what the targets consist of now.
func (d *Daemon) watch() {
	paths := []string{d.Paths.Config}
	for _, t := range d.changer.targets {
		paths = append(paths, t.paths()...)
	}
	if err := d.watcher.Watch(paths); err != nil {
		d.reportOnce(err)
	}
}

// round waits until the files are left alone and carries out what has changed.
func (d *Daemon) round(ctx context.Context, events <-chan struct{}) error {
	since := d.Now()
	d.changer.payDebts()
	changed, err := d.changer.look()
	if err != nil || len(changed) == 0 {
		return err
	}
	if !settle(ctx, events) {
		return nil
	}
	if changed, err = settled(ctx, d.changer.look); err != nil || len(changed) == 0 {
		return err
	}
	var first error
	for _, group := range d.changer.groups(changed) {
		ch, err := d.changer.change(ctx, group, since)
		if isPanic(err) {
			first = err // whatever else happened: it decides when the files are tried again
			continue
		}
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		d.keepLast(ch)
	}
	return first
}
