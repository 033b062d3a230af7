package agent

import (
	"context"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
)

// restartTime bounds the restart of a haproxy that is stuck.
const restartTime = 60 * time.Second

// restartHAProxy ends a worker that stays stuck, and has systemd start haproxy anew. The worker is asked once more over the
// master's own line to it: that all places of the check's socket are taken is nothing that a restart would mend.
func (d *Daemon) restartHAProxy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	if err := d.killStuck(ctx); err != nil {
		d.Log.Error("haproxy does not answer the check, but is not restarted", "reason", err)
		return
	}
	d.Log.Error("haproxy has been stuck for " + stuckTime.String() + ": restarting it, once")
	if err := d.Bus.Restart(ctx, d.Conf.HAProxy.Unit); err != nil {
		d.Log.Error(err.Error())
	}
}

// killStuck kills haproxy: a worker that was stopped keeps its master, which waits for it, from ending in the minute and a half
// that it would be given (TimeoutStopSec=).
func (d *Daemon) killStuck(ctx context.Context) error {
	if _, err := running(ctx, d.Bus, d.Conf.HAProxy.Unit); err != nil {
		return err
	}
	master := haproxy.Socket(d.Conf.HAProxy.MasterSocket)
	askCtx, cancel := context.WithTimeout(ctx, 2*askTime)
	defer cancel()
	procs, err := master.ShowProc(askCtx)
	if err != nil {
		return d.Bus.Kill(ctx, d.Conf.HAProxy.Unit)
	}
	w, ok := procs.Worker()
	if !ok {
		return nil
	}
	if info, err := master.ShowInfo(askCtx, w.PID); err == nil && info.PID == w.PID {
		return errServes
	}
	// By systemd, which needs no right of this process to do it.
	return d.Bus.Kill(ctx, d.Conf.HAProxy.Unit)
}
