package target

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/validator"
)

// Keepalived is keepalived.conf with the files that it includes.
type Keepalived struct {
	conf      config.Keepalived
	units     Units
	run       validator.Runner
	states    func() map[string]keepalived.State // as reported in the fifo
	addresses func() ([]vip.Held, error)
	watched   func(pid int) (exited <-chan struct{}, close func(), err error)
	runs      func() keepalived.File // the configuration of keepalived before a change
	split     split
	parted    bool // the last change separated this node from its peers: the next one is the rollback, and is urgent
}

// reloadTime is the minimum time for which keepalived is watched after a reload. A file that makes it crash does so within some
// milliseconds.
const reloadTime = 700 * time.Millisecond

// maxIncluded is the maximum number of files that are searched for further includes.
const maxIncluded = 1000

func (t *Keepalived) Name() string { return "keepalived" }
func (t *Keepalived) Unit() string { return t.conf.Unit }

func (t *Keepalived) Paths() []string {
	paths := []string{t.conf.Config}
	// Included files can include others, even themselves.
	for i := 0; i < len(paths) && len(paths) < maxIncluded; i++ {
		b, err := regular.ReadFile(paths[i], regular.MaxConfig)
		if err != nil {
			continue
		}
		for _, pattern := range keepalived.Read(b).Includes {
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(paths[i]), pattern)
			}
			found, _ := filepath.Glob(pattern)
			for _, p := range found {
				if !slices.Contains(paths, p) {
					paths = append(paths, p)
				}
			}
		}
	}
	return paths
}

func (t *Keepalived) Validate(ctx context.Context) validator.Answer {
	if err := t.unique(); err != nil {
		return Bad("%v", err)
	}
	return keepalived.Test(ctx, t.run, t.conf.Config)
}

// unique returns a VIP that two instances have. keepalived -t does not find that.
func (t *Keepalived) unique() error {
	owner := map[vip.Held]string{}
	for _, in := range t.file().Instances {
		for _, v := range in.VIPs {
			key := vip.Held{Interface: v.Interface, Address: v.Address.Addr()}
			if other, ok := owner[key]; ok && other != in.Name {
				return fmt.Errorf("%v on %s is in two instances: %s and %s", v.Address, v.Interface, other, in.Name)
			}
			owner[key] = in.Name
		}
	}
	return nil
}

func (t *Keepalived) Ready(ctx context.Context) error {
	_, err := running(ctx, t.units, t.conf.Unit)
	return err
}

func (t *Keepalived) Take(ctx context.Context, changed time.Time) error {
	u, err := running(ctx, t.units, t.conf.Unit)
	if err != nil {
		return err
	}
	if startedOn(u, changed) {
		return t.proveStates(ctx)
	}
	exited, done, err := t.watched(u.MainPID)
	if err != nil {
		return fmt.Errorf("cannot watch keepalived over its reload: %w", err)
	}
	defer done()
	file := t.file()
	known := map[vip.Held]bool{}
	urgent := t.parted
	if t.parted = false; !urgent {
		known = t.split.before(ctx, file)
	}
	if err := t.units.Reload(ctx, t.conf.Unit); err != nil {
		return err
	}
	long := reloadTime
	if !urgent {
		long = max(long, window(t.runs(), file))
	}
	watch, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	rivals := make(chan error, 1)
	if !urgent { // otherwise both nodes still hold the VIPs
		go func() { rivals <- t.split.watch(watch, file, known) }()
	}
	select {
	case <-exited:
		return errors.New("keepalived ended over its reload")
	case err := <-rivals:
		if t.parted = err != nil; t.parted {
			return err
		}
	case <-watch.Done():
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return t.proveStates(ctx)
}

// proveStates waits until the kernel has the addresses that match keepalived's states of the file's instances.
func (t *Keepalived) proveStates(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	return poll.Until(ctx, 50*time.Millisecond, func() (bool, error) {
		u, err := running(ctx, t.units, t.conf.Unit)
		switch {
		case u.Active == "inactive": // an operator stopped it, which says nothing about the file
			return true, ErrNotRunning
		case err != nil: // a service that is just ending may have been stopped
			return errors.Is(err, ErrFailing), errors.New("keepalived does not run with it")
		}
		held, err := t.addresses()
		if err != nil {
			return false, err
		}
		if err := agree(t.file().Instances, t.states(), held); err != nil {
			return false, err
		}
		return true, nil
	})
}

// agree returns an error if the kernel's VIPs differ from keepalived's states. An instance without a reported state is ignored.
func agree(instances []keepalived.Instance, states map[string]keepalived.State, held []vip.Held) error {
	has := map[vip.Held]bool{}
	for _, h := range held {
		has[h] = true
	}
	for _, in := range instances {
		state, told := states[in.Name]
		if !told {
			continue
		}
		for _, v := range in.VIPs {
			switch is := has[vip.Held{Interface: v.Interface, Address: v.Address.Addr()}]; {
			case state == keepalived.Master && !is:
				return fmt.Errorf("%s is MASTER, but %v is not on %s", in.Name, v.Address, v.Interface)
			case state != keepalived.Master && is:
				return fmt.Errorf("%s is %s, but %v is on %s", in.Name, state, v.Address, v.Interface)
			}
		}
	}
	return nil
}
