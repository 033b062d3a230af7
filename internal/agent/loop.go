package agent

import (
	"context"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/track"
)

// changeTime is the time limit of a change. After it the daemon no longer notifies its watchdog.
const changeTime = 10 * time.Minute

// How often files and watches are checked without an event, because a directory may have been created again, or a service may
// have started.
const (
	rescan = 2 * time.Second // while there is no verdict, for example soon after the start while services are starting
	atRest = 5 * time.Second // the interval of the notifications to the watchdog of the daemon's unit
)

// pace returns how often the loop wakes up without an event.
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

// loop makes all decisions of the daemon. It carries out one change at a time, in another goroutine. Events during a change
// lead to one more change after it.
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
			in, applies = nil, nil // the round itself waits until the files no longer change
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
			} // a tick
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

// lookAround does the periodic work besides the files.
func (d *Daemon) lookAround() {
	d.panics.Guard(track.Part, d.track.Look)
	d.panics.Guard("the end of maintenance", func() {
		if err := d.service.Expire(); err != nil {
			d.reports.problem(err)
		}
	})
	d.panics.Guard("the holder's files", d.vrrp.WriteHolderFiles) // keepalived may have created the file after it reported its state
	d.lookForOthers()
}

// configChanged returns ErrConfigChanged if agent.yaml differs from the one at the start, and can be used.
func (d *Daemon) configChanged(own target.Snapshot) error {
	if now, err := target.Read([]string{d.Paths.Config}); err == nil && now.Digest != own.Digest && d.usable() {
		return ErrConfigChanged
	}
	return nil
}

// files returns a digest of all files of all targets, as far as they can be read without a panic.
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

// usable reports whether the agent could start with its new configuration.
func (d *Daemon) usable() bool {
	if _, err := config.Load(d.Paths.Config); err != nil {
		d.reports.problem(err)
		return false
	}
	return true
}

// watch watches the directories of the targets' current files.
func (d *Daemon) watch() {
	paths := []string{d.Paths.Config}
	for _, t := range d.targets {
		paths = append(paths, t.Paths()...)
	}
	if err := d.watcher.Watch(paths); err != nil {
		d.reports.problem(err)
	}
}

// lookForOthers starts the questions that are due, without waiting for answers: to other holders, and to peers that are not
// heard.
func (d *Daemon) lookForOthers() {
	for _, look := range []chan struct{}{d.duplicates.Look, d.reach.Look} {
		select {
		case look <- struct{}{}:
		default:
		}
	}
}
