// Package vrrp follows keepalived: the states that it tells over its notify fifo, the files by which it is told who holds its
// virtual IPs, and the end of its processes, which may leave virtual IPs behind.
package vrrp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/watch"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// States are what keepalived has told of its instances over the notify fifo.
type States struct {
	Path  string
	Track string // the track file, beside which the holder's files lie
	Kept  string // where the states are kept for the agent's next start: keepalived tells a state only once
	Log   *slog.Logger
	Now   func() time.Time
	Moved func() // called when the VIPs may have come or gone

	// Changed is called when keepalived has told a state.
	Changed func()

	Panics *contain.Panics

	telling sync.Mutex        // held while keepalived is told who the holder is
	weak    map[string]string // what holder's files say of instances that are handed over, by instance

	mu        sync.Mutex
	instances map[string]Instance
}

// Map returns the instances' states.
func (v *States) Map() map[string]keepalived.State {
	v.mu.Lock()
	defer v.mu.Unlock()
	m := map[string]keepalived.State{}
	for name, i := range v.instances {
		m[name] = i.State
	}
	return m
}

// List is a copy of the instances.
func (v *States) List() map[string]Instance {
	v.mu.Lock()
	defer v.mu.Unlock()
	m := make(map[string]Instance, len(v.instances))
	for name, i := range v.instances {
		m[name] = i
	}
	return m
}

func (v *States) take(e keepalived.Event) {
	if e.Type != "INSTANCE" || !e.State.Known() {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.State == keepalived.Deleted {
		delete(v.instances, e.Name)
		return
	}
	if v.instances == nil {
		v.instances = map[string]Instance{}
	}
	if v.instances[e.Name].State != e.State {
		v.Log.Info("keepalived says", "instance", e.Name, "state", string(e.State), "priority", e.Priority)
	}
	v.instances[e.Name] = Instance{Name: e.Name, State: e.State, Priority: e.Priority, Since: v.Now().UTC(), SinceBoot: sinceBoot()}
}

// keep writes the states down. /run is gone after a reboot, as they are.
func (v *States) keep() {
	b, err := json.Marshal(v.List())
	if err == nil {
		err = durable.WriteFile(v.Kept, b, 0o600, durable.Keep, durable.Keep)
	}
	if err != nil {
		v.Log.Warn("cannot keep the VRRP states", "error", err)
	}
}

// Recall takes the states of the last run, as far as plausible says that they still hold. What keepalived has told
// meanwhile waits in the fifo and comes after them.
func (v *States) Recall(plausible func(Instance) bool) {
	b, err := regular.ReadFile(v.Kept, regular.MaxState)
	if err != nil {
		return // a first start
	}
	var kept map[string]Instance
	if err := json.Unmarshal(b, &kept); err != nil {
		v.Log.Warn("cannot use the kept VRRP states", "error", err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.instances = map[string]Instance{}
	for name, i := range kept {
		if i.Name == name && i.State.Known() && plausible(i) {
			v.instances[name] = i
		}
	}
}

// again is how long after the end of a fifo another one is looked for: keepalived removes one that it made, and makes another.
const again = time.Second

// Run takes events from the fifo until ctx ends.
func (v *States) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.readOne(ctx); err != nil {
			v.Log.Error(err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// readOne opens the fifo, which it makes where it is not there, and reads it until another one has its name. Opened for
// writing too, as keepalived does, it has never an end, and what keepalived writes while nobody reads is kept.
func (v *States) readOne(ctx context.Context) error {
	if err := syscall.Mkfifo(v.Path, 0o600); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("cannot make the notify fifo %s: %w", v.Path, err)
	}
	f, err := os.OpenFile(v.Path, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("cannot open the notify fifo: %w", err)
	}
	defer f.Close()
	mine, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot look at the notify fifo: %w", err)
	}
	if mine.Mode()&os.ModeNamedPipe == 0 {
		return fmt.Errorf("cannot read %s: it is no fifo", v.Path)
	}
	interrupt := func() { f.SetReadDeadline(time.Unix(1, 0)) }
	defer context.AfterFunc(ctx, interrupt)()
	stop, err := v.watchName(interrupt)
	if err != nil {
		return err
	}
	defer stop()
	var events keepalived.Events
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		f.SetReadDeadline(time.Time{})
		if now, err := os.Stat(v.Path); err != nil || !os.SameFile(mine, now) {
			return nil
		}
		if ctx.Err() != nil {
			return nil // it has ended before the deadline was taken away
		}
		n, err := f.Read(buf)
		taken, bad := events.Add(buf[:max(n, 0)])
		for _, e := range taken {
			v.take(e)
		}
		if len(taken) > 0 {
			v.Changed()
			v.TellHolder()
			time.AfterFunc(holderAfter, func() { v.Panics.Guard("the holder's files", func() { v.TellHolder(); v.Moved() }) })
			v.keep()
		}
		for _, err := range bad {
			v.Log.Warn(err.Error())
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("cannot read the notify fifo: %w", err)
		}
	}
	return nil
}

// watchName calls changed whenever the fifo's name may be another file's.
func (v *States) watchName(changed func()) (stop func(), err error) {
	w, err := watch.New()
	if err != nil {
		return nil, err
	}
	if err := w.Watch([]string{v.Path}); err != nil {
		w.Close()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-w.Changed:
				changed()
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); w.Close() }, nil
}

// Plausible returns whether the kernel bears out a state of the agent's last run: a stale MASTER is worse than none.
func Plausible(vips []config.VIP) func(Instance) bool {
	return func(i Instance) bool {
		held, err := vip.Addresses()
		if err != nil {
			return false
		}
		for _, v := range vips {
			if slices.Contains(v.Instances, i.Name) {
				on, _ := vip.Of(v, held)
				return len(v.Instances) > 1 || (len(on) > 0) == (i.State == keepalived.Master)
			}
		}
		return false
	}
}
