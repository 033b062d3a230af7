package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/watch"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// vrrp is what keepalived has told of its instances over the notify fifo.
type vrrp struct {
	path  string
	track string // the track file, beside which the holder's files lie
	kept  string // where the states are kept for the agent's next start: keepalived tells a state only once
	log   *slog.Logger
	now   func() time.Time
	moved func() // called when the VIPs may have come or gone

	changed func() // called when keepalived has told a state

	panics *panics

	telling sync.Mutex        // held while keepalived is told who the holder is
	weak    map[string]string // what holder's files say of instances that are handed over, by instance

	mu        sync.Mutex
	instances map[string]control.Instance
}

// states are the instances' states.
func (v *vrrp) states() map[string]keepalived.State {
	v.mu.Lock()
	defer v.mu.Unlock()
	m := map[string]keepalived.State{}
	for name, i := range v.instances {
		m[name] = keepalived.State(i.State)
	}
	return m
}

// list is a copy of the instances.
func (v *vrrp) list() map[string]control.Instance {
	v.mu.Lock()
	defer v.mu.Unlock()
	m := make(map[string]control.Instance, len(v.instances))
	for name, i := range v.instances {
		m[name] = i
	}
	return m
}

func (v *vrrp) take(e keepalived.Event) {
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
		v.instances = map[string]control.Instance{}
	}
	if v.instances[e.Name].State != string(e.State) {
		v.log.Info("keepalived says", "instance", e.Name, "state", string(e.State), "priority", e.Priority)
	}
	v.instances[e.Name] = control.Instance{Name: e.Name, State: string(e.State), Priority: e.Priority, Since: v.now().UTC(), SinceBoot: sinceBoot()}
}

// keep writes the states down. /run is gone after a reboot, as they are.
func (v *vrrp) keep() {
	b, err := json.Marshal(v.list())
	if err == nil {
		err = durable.WriteFile(v.kept, b, 0o600, durable.Keep, durable.Keep)
	}
	if err != nil {
		v.log.Warn("cannot keep the VRRP states", "error", err)
	}
}

// recall takes the states of the last run, as far as plausible says that they still hold. What keepalived has told
// meanwhile waits in the fifo and comes after them.
func (v *vrrp) recall(plausible func(control.Instance) bool) {
	b, err := regular.ReadFile(v.kept, regular.MaxState)
	if err != nil {
		return // a first start
	}
	var kept map[string]control.Instance
	if err := json.Unmarshal(b, &kept); err != nil {
		v.log.Warn("cannot use the kept VRRP states", "error", err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.instances = map[string]control.Instance{}
	for name, i := range kept {
		if i.Name == name && keepalived.State(i.State).Known() && plausible(i) {
			v.instances[name] = i
		}
	}
}

// again is how long after the end of a fifo another one is looked for: keepalived removes one that it made, and makes another.
const again = time.Second

// read takes events from the fifo until ctx ends.
func (v *vrrp) read(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.readOne(ctx); err != nil {
			v.log.Error(err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// readOne opens the fifo, which it makes where it is not there, and reads it until another one has its name. Opened for
// writing too, as keepalived does, it has never an end, and what keepalived writes while nobody reads is kept.
func (v *vrrp) readOne(ctx context.Context) error {
	if err := syscall.Mkfifo(v.path, 0o600); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("cannot make the notify fifo %s: %w", v.path, err)
	}
	f, err := os.OpenFile(v.path, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("cannot open the notify fifo: %w", err)
	}
	defer f.Close()
	mine, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot look at the notify fifo: %w", err)
	}
	if mine.Mode()&os.ModeNamedPipe == 0 {
		return fmt.Errorf("cannot read %s: it is no fifo", v.path)
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
		if now, err := os.Stat(v.path); err != nil || !os.SameFile(mine, now) {
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
			v.changed()
			v.tellHolder()
			time.AfterFunc(holderAfter, func() { v.panics.guard("the holder's files", func() { v.tellHolder(); v.moved() }) })
			v.keep()
		}
		for _, err := range bad {
			v.log.Warn(err.Error())
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("cannot read the notify fifo: %w", err)
		}
	}
	return nil
}

// watchName calls changed whenever the fifo's name may be another file's.
func (v *vrrp) watchName(changed func()) (stop func(), err error) {
	w, err := watch.New()
	if err != nil {
		return nil, err
	}
	if err := w.Watch([]string{v.path}); err != nil {
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
