// Package vrrp follows keepalived. It reads the states that keepalived writes to its notify fifo, writes the files that tell
// keepalived which node is the holder, and releases virtual IPs that a dead process of keepalived has left.
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

// States are the states of keepalived's instances, as it reported them in the notify fifo.
type States struct {
	Path  string
	Track string // the track file; the holder's files are in the same directory
	Kept  string // the file with the states for the agent's next start, because keepalived reports a state only once
	Log   *slog.Logger
	Now   func() time.Time
	Moved func() // called when VIPs may have been added or removed

	// Changed is called when keepalived has reported a state.
	Changed func()

	Panics *contain.Panics

	writing sync.Mutex        // held while the holder's files are written
	weak    map[string]string // the content of the holder's files of instances that are handed over, by instance

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

// List returns a copy of the instances.
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
		v.Log.Info("keepalived reports a state", "instance", e.Name, "state", string(e.State), "priority", e.Priority)
	}
	v.instances[e.Name] = Instance{Name: e.Name, State: e.State, Priority: e.Priority, Since: v.Now().UTC(), SinceBoot: sinceBoot()}
}

// keep writes the states to their file. Both it and the states are gone after a reboot.
func (v *States) keep() {
	b, err := json.Marshal(v.List())
	if err == nil {
		err = durable.WriteFile(v.Kept, b, 0o600, durable.Keep, durable.Keep)
	}
	if err != nil {
		v.Log.Warn("cannot keep the VRRP states", "error", err)
	}
}

// Recall loads the states of the agent's last run, if plausible returns true for them. What keepalived has reported since then
// is read from the fifo afterwards.
func (v *States) Recall(plausible func(Instance) bool) {
	b, err := regular.ReadFile(v.Kept, regular.MaxState)
	if err != nil {
		return // the first start
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

// again is the pause before another fifo is opened: keepalived removes a fifo that it created itself, and creates another.
const again = time.Second

// Run reads events from the fifo until ctx ends.
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

// readOne opens the fifo, which it creates if it does not exist, and reads it until its name refers to another file. It opens
// it for writing too, as keepalived does: then there is no end of file, and the fifo keeps what keepalived writes while the
// agent does not run.
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
		return fmt.Errorf("cannot read %s: it is not a fifo", v.Path)
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
			return nil // the fifo was replaced before the deadline was removed
		}
		n, err := f.Read(buf)
		taken, bad := events.Add(buf[:max(n, 0)])
		for _, e := range taken {
			v.take(e)
		}
		if len(taken) > 0 {
			v.Changed()
			v.WriteHolderFiles()
			time.AfterFunc(holderAfter, func() { v.Panics.Guard("the holder's files", func() { v.WriteHolderFiles(); v.Moved() }) })
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

// watchName calls changed whenever the fifo's name may refer to another file.
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

// Plausible reports whether the kernel's addresses agree with a state from the agent's last run. A state that is no longer true
// would be worse than none.
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
