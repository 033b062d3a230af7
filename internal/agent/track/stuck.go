package track

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/systemd"
)

// restartTime is the time limit of a restart of haproxy.
const restartTime = 60 * time.Second

// Units is the part of systemd that a Restarter needs.
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

// Restart ends a haproxy that stays stuck, and starts it again. First it asks the worker over the master's own connection: if
// other clients only use all connections of the check's socket, a restart would not help.
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

// killStuck kills haproxy. Its master would wait for a stopped worker for the minute and a half of systemd's TimeoutStopSec=.
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
	// systemd sends the signal, so this process does not need the permission.
	return r.Units.Kill(ctx, r.Unit)
}

// errNotRunning reports that a service is not restarted: systemd starts it, or an operator has stopped it.
var errNotRunning = errors.New("its service does not run")

// errServes reports that a worker answers its master, but not the check.
var errServes = errors.New("its worker answers its master: perhaps all connections to the check's socket are taken")
