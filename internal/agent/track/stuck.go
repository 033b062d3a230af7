package track

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/systemd"
)

// restartTime bounds the restart of a haproxy that is stuck.
const restartTime = 60 * time.Second

// Units are what a Restarter needs of systemd.
type Units interface {
	Service(ctx context.Context, unit string) (systemd.Unit, error)
	Restart(ctx context.Context, unit string) error
	Kill(ctx context.Context, unit string) error
}

// Restarter restarts haproxy.
type Restarter struct {
	Units        Units
	Unit         string // of haproxy
	MasterSocket string
	Log          *slog.Logger
}

// Restart ends a worker that stays stuck, and has systemd start haproxy anew. The worker is asked once more over the
// master's own line to it: that all places of the check's socket are taken is nothing that a restart would mend.
func (r Restarter) Restart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	if err := r.killStuck(ctx); err != nil {
		r.Log.Error("haproxy does not answer the check, but is not restarted", "reason", err)
		return
	}
	r.Log.Error("haproxy has been stuck for " + stuckTime.String() + ": restarting it, once")
	if err := r.Units.Restart(ctx, r.Unit); err != nil {
		r.Log.Error(err.Error())
	}
}

// killStuck kills haproxy: a worker that was stopped keeps its master, which waits for it, from ending in the minute and a half
// that it would be given (TimeoutStopSec=).
func (r Restarter) killStuck(ctx context.Context) error {
	u, err := r.Units.Service(ctx, r.Unit)
	if err != nil {
		return err
	}
	if !u.Running() {
		return errNotRunning
	}
	master := haproxy.Socket(r.MasterSocket)
	askCtx, cancel := context.WithTimeout(ctx, 2*askTime)
	defer cancel()
	procs, err := master.ShowProc(askCtx)
	if err != nil {
		return r.Units.Kill(ctx, r.Unit)
	}
	w, ok := procs.Worker()
	if !ok {
		return nil
	}
	if info, err := master.WorkerInfo(askCtx, w.PID); err == nil && info.PID == w.PID {
		return errServes
	}
	// By systemd, which needs no right of this process to do it.
	return r.Units.Kill(ctx, r.Unit)
}

// errNotRunning is why a service is not restarted: systemd starts it, or an operator has stopped it.
var errNotRunning = errors.New("its service does not run")

// errServes says that a worker answers its master though it does not answer the check.
var errServes = errors.New("its worker answers its master: perhaps all connections to the check's socket are taken")
