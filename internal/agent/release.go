package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/poll"
	"github.com/hapair/hapair/internal/agent/process"
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

// followKeepalived releases the virtual IPs at once when a process of keepalived has died. The unit's ExecStopPost= does so
// too, but `systemctl kill --signal=KILL` kills that as well (systemd 257), and it does not run if only the VRRP process has
// died. A keepalived that was stopped has taken its addresses off and announced it before it ended: then there is nothing to do.
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

// outlive waits for the end of a process of keepalived, if it runs, and releases what that has left behind.
func (d *Daemon) outlive(ctx context.Context) error {
	u, err := d.Bus.Service(ctx, d.Conf.Keepalived.Unit)
	if err != nil || u.MainPID == 0 || !u.Running() {
		return nil // status reports it; one that is just starting has not all its processes yet, and holds nothing
	}
	cgroup, err := keepalived.Cgroup("/proc", u.MainPID)
	if err != nil {
		return nil // it has ended meanwhile
	}
	mainEnded, done, err := process.Exited(u.MainPID)
	if err != nil {
		return nil
	}
	defer done()
	childEnded, done := anyExited(keepalived.Children("/proc", u.MainPID))
	defer done()
	select {
	case <-ctx.Done():
		return nil
	case <-mainEnded:
	case <-childEnded:
	}
	return d.bury(ctx, mainEnded, func() (int, error) { return keepalived.RunningIn("/proc", cgroup) })
}

// anyExited is like exited for the first of several processes to end.
func anyExited(pids []int) (<-chan struct{}, func()) {
	first, stop := make(chan struct{}, 1), make(chan struct{})
	var closers []func()
	for _, pid := range pids {
		ended, done, err := process.Exited(pid)
		if err != nil {
			continue
		}
		closers = append(closers, done)
		go func() {
			select {
			case <-stop:
				return
			case <-ended:
			}
			select {
			case first <- struct{}{}:
			default:
			}
		}()
	}
	return first, func() {
		close(stop)
		for _, done := range closers {
			done()
		}
	}
}

// bury releases what a process of keepalived has left behind that died just now. While the main process lives it starts a new
// VRRP process, which takes the addresses off itself, but announces nothing.
func (d *Daemon) bury(ctx context.Context, mainEnded <-chan struct{}, running func() (int, error)) error {
	held, err := vip.Addresses()
	if err != nil {
		return err
	}
	var instances []keepalived.Instance
	for _, in := range runningConfig(store.At(d.Paths.Store), d.Conf.Keepalived).Instances {
		if len(holding(in, held)) > 0 {
			instances = append(instances, in)
		}
	}
	if len(instances) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	err = poll.Until(ctx, 2*time.Millisecond, func() (bool, error) {
		held, err := vip.Addresses()
		if err != nil {
			return true, err
		}
		left := slices.ContainsFunc(instances, func(in keepalived.Instance) bool { return len(holding(in, held)) > 0 })
		select {
		case <-mainEnded:
			if !left {
				return true, nil // ExecStopPost= was faster
			}
			return d.released(ctx, running)
		default:
			if left {
				return false, errStays
			}
			return true, d.resigned(instances)
		}
	})
	if errors.Is(err, errStays) {
		return nil // another process than the VRRP one has died
	}
	if err != nil {
		return fmt.Errorf("cannot release the virtual IPs of a keepalived that has died: %w", err)
	}
	return nil
}

// errStays is why nothing is announced.
var errStays = errors.New("an address is still on its interface")

// releaseUnit is the transient unit that releases: the daemon itself has no right to take an address off.
const releaseUnit = "hapair-release.service"

// released has the addresses released as soon as no process runs any more.
func (d *Daemon) released(ctx context.Context, running func() (int, error)) (bool, error) {
	pid, err := running()
	if err != nil {
		return true, err
	}
	if pid != 0 {
		return false, fmt.Errorf("%w (process %d)", vip.ErrInUse, pid)
	}
	self, err := os.Executable()
	if err != nil {
		return true, err
	}
	return true, d.Bus.RunOnce(ctx, releaseUnit, self, "release", "--config", d.Paths.Config)
}

// resigned resigns instances whose addresses a new VRRP process has taken off.
func (d *Daemon) resigned(instances []keepalived.Instance) (err error) {
	for _, in := range instances {
		d.Log.Warn("keepalived's VRRP process has died: announcing it to the peers", "instance", in.Name)
		err = errors.Join(err, advert.Resign(in))
	}
	return err
}
