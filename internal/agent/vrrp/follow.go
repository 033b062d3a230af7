package vrrp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/agent/process"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/systemd"
)

// How the daemon follows keepalived's main process.
const (
	lookAgain   = 500 * time.Millisecond // if keepalived does not run
	releaseTime = time.Second            // for keepalived's other processes to exit after the main one
)

// Units is the part of systemd that a Follower needs.
type Units interface {
	Service(ctx context.Context, unit string) (systemd.Unit, error)
	RunOnce(ctx context.Context, unit string, command ...string) error
}

// Follower follows keepalived's processes.
type Follower struct {
	Units  Units
	Unit   string                 // of keepalived
	Runs   func() keepalived.File // the configuration that keepalived runs on
	Config string                 // agent.yaml, for the process that releases addresses
	Log    *slog.Logger
}

// Run releases the virtual IPs at once when a process of keepalived has died. The unit's ExecStopPost= does that too, but
// `systemctl kill --signal=KILL` also kills that (systemd 257), and it does not run if only the VRRP process has died. A
// keepalived that was stopped has removed and announced its addresses before it exited: then there is nothing to do.
func (f Follower) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := f.outlive(ctx); err != nil && ctx.Err() == nil {
			f.Log.Error(err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// outlive waits until a process of keepalived exits, if it runs, and releases what that process has left.
func (f Follower) outlive(ctx context.Context) error {
	u, err := f.Units.Service(ctx, f.Unit)
	if err != nil || u.MainPID == 0 || !u.Running() {
		return nil // status reports the error; a keepalived that is just starting does not have all its processes yet, and holds nothing
	}
	cgroup, err := keepalived.Cgroup("/proc", u.MainPID)
	if err != nil {
		return nil // it has exited meanwhile
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
	return f.bury(ctx, mainEnded, func() (int, error) { return keepalived.RunningIn("/proc", cgroup) })
}

// anyExited is like exited, for the first of several processes that exits.
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

// bury releases the addresses of a process of keepalived that died just now. If the main process still runs, it starts a new
// VRRP process, which removes the addresses itself, but does not announce that.
func (f Follower) bury(ctx context.Context, mainEnded <-chan struct{}, running func() (int, error)) error {
	held, err := vip.Addresses()
	if err != nil {
		return err
	}
	var instances []keepalived.Instance
	for _, in := range f.Runs().Instances {
		if len(vip.OfInstance(in, held)) > 0 {
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
		left := slices.ContainsFunc(instances, func(in keepalived.Instance) bool { return len(vip.OfInstance(in, held)) > 0 })
		select {
		case <-mainEnded:
			if !left {
				return true, nil // ExecStopPost= was faster
			}
			return f.released(ctx, running)
		default:
			if left {
				return false, errStays
			}
			return true, f.resigned(instances)
		}
	})
	if errors.Is(err, errStays) {
		return nil // the VRRP process did not die
	}
	if err != nil {
		return fmt.Errorf("cannot release the virtual IPs of a keepalived that has died: %w", err)
	}
	return nil
}

// errStays is the reason why nothing is announced.
var errStays = errors.New("an address is still on its interface")

// releaseUnit is the transient unit that releases addresses: the daemon itself has no permission to remove an address.
const releaseUnit = "hapair-release.service"

// released starts the release, as soon as no process of keepalived runs.
func (f Follower) released(ctx context.Context, running func() (int, error)) (bool, error) {
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
	return true, f.Units.RunOnce(ctx, releaseUnit, self, "release", "--config", f.Config)
}

// resigned sends priority-0 advertisements for instances whose addresses a new VRRP process has removed.
func (f Follower) resigned(instances []keepalived.Instance) (err error) {
	for _, in := range instances {
		f.Log.Warn("keepalived's VRRP process has died: announcing it to the peers", "instance", in.Name)
		err = errors.Join(err, advert.Resign(in))
	}
	return err
}
