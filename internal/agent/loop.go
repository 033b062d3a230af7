package agent

import (
	"context"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/track"
)

// changeTime is how long a change may take at most. Then the watchdog is no longer told that all is well.
const changeTime = 10 * time.Minute

// How often files and watches are looked at without an event: a directory that came back, a service that runs again.
const (
	rescan = 2 * time.Second // while no verdict can be given: soon after the start, for instance, when services are still starting
	atRest = 5 * time.Second // as often as the watchdog of the daemon's unit must be told
)

// pace is how often the loop wakes up by itself, for all that may be done late.
func (d *Daemon) pace(busy bool) time.Duration {
	every := atRest
	if busy || d.reports.open {
		every = rescan
	}
	if beat := d.Notify.WatchdogInterval(); beat > 0 {
		every = min(every, beat)
	}
	return every
}

// loop is the one place where things are decided. A change is carried out beside it, one at a time: what comes meanwhile
// is one more, when it is done.
func (d *Daemon) loop(ctx context.Context) error {
	own, err := target.Read([]string{d.Paths.Config})
	if err != nil {
		return err
	}
	var done chan error // of the change that is being carried out
	var busy time.Time  // since when
	tick := time.NewTicker(d.pace(true))
	defer tick.Stop()
	begin := func(work func() error) {
		done, busy = make(chan error, 1), d.Now()
		go func(done chan<- error) { done <- d.panics.Contain("a round", work) }(done)
	}
	round := func() error { return d.changer.Round(ctx, d.watcher.Changed, d.keepLast) }
	d.panics.Guard("the watch of files", d.watch)
	begin(round)
	for {
		in, applies := d.watcher.Changed, d.applies
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
			tick.Reset(d.pace(done != nil))
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

// usable reports whether the agent could start on its new configuration.
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

// lookForOthers has the link asked about what is due, without waiting for it: other holders, and peers that are not heard.
func (d *Daemon) lookForOthers() {
	for _, look := range []chan struct{}{d.duplicates.Look, d.reach.Look} {
		select {
		case look <- struct{}{}:
		default:
		}
	}
}
