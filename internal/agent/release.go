package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
)

// Release takes the virtual IPs off this machine that a dead keepalived has left behind, and sends a priority-0
// advertisement for each of its instances that held one: the peers take over after their skew time, and need not find out by
// three advertisements that do not come. running finds a keepalived that may hold them.
func Release(c *config.Config, s *store.Store, running func() (pid int, err error)) ([]vip.Released, error) {
	released, err := vip.Releaser{VIPs: c.VIPs, ProcSys: "/proc/sys", Running: running}.Release()
	if len(released) == 0 {
		return nil, err
	}
	held, heldErr := vip.Addresses()
	if heldErr != nil {
		return released, errors.Join(err, heldErr)
	}
	for _, in := range runningConfig(s, c.Keepalived).Instances {
		if gave(in, released) && len(holding(in, held)) == 0 {
			err = errors.Join(err, advert.Resign(in))
		}
	}
	return released, err
}

// gave reports whether one of an instance's addresses was taken off.
func gave(in keepalived.Instance, released []vip.Released) bool {
	return slices.ContainsFunc(in.VIPs, func(v keepalived.VIP) bool {
		return slices.ContainsFunc(released, func(r vip.Released) bool {
			return r.Interface == v.Interface && r.Address.Addr() == v.Address.Addr()
		})
	})
}

// holding returns the addresses of an instance that this machine has.
func holding(in keepalived.Instance, held []vip.Held) []vip.Held {
	var on []vip.Held
	for _, v := range in.VIPs {
		if h := (vip.Held{Interface: v.Interface, Address: v.Address.Addr()}); slices.Contains(held, h) {
			on = append(on, h)
		}
	}
	return on
}

// How the daemon follows keepalived's main process.
const (
	lookAgain   = 500 * time.Millisecond // for a keepalived that does not run
	releaseTime = time.Second            // that keepalived's other processes may take to end after the main one
)

// followKeepalived releases the virtual IPs at once when keepalived's main process has died. The unit's ExecStopPost= does so
// too, but `systemctl kill --signal=KILL` kills that as well (systemd 257). A keepalived that was stopped has taken its
// addresses off and announced it before it ended: then there is nothing to do.
func (d *Daemon) followKeepalived(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.outlive(ctx); err != nil && ctx.Err() == nil {
			d.Log.Error(err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// outlive waits for the end of keepalived's main process, if there is one, and releases what it has left behind.
func (d *Daemon) outlive(ctx context.Context) error {
	u, err := d.Bus.Service(ctx, d.Conf.Keepalived.Unit)
	if err != nil || u.MainPID == 0 {
		return nil // status reports it
	}
	cgroup, err := keepalived.Cgroup("/proc", u.MainPID)
	if err != nil {
		return nil // it has ended meanwhile
	}
	ended, done, err := exited(u.MainPID)
	if err != nil {
		return nil
	}
	defer done()
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	running := func() (int, error) { return keepalived.RunningIn("/proc", cgroup) }
	return poll(ctx, 2*time.Millisecond, func() (bool, error) {
		released, err := Release(d.Conf, store.At(d.Paths.Store), running)
		for _, r := range released {
			d.Log.Warn("took a virtual IP off that a dead keepalived had left behind", "address", r.Address, "interface", r.Interface)
		}
		if errors.Is(err, vip.ErrInUse) {
			return false, fmt.Errorf("cannot release the virtual IPs of a keepalived whose main process has died: %w", err)
		}
		return true, err
	})
}
