package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/wellknown"
)

// leaveService hands the virtual IPs over if something has to be restarted that serves them.
func (a *application) leaveService(ctx context.Context) error {
	if !a.effects.moves() && !a.parted() {
		return nil
	}
	s, err := a.status(ctx)
	if err != nil {
		return err
	}
	if s.Maintenance {
		return nil // the operator's
	}
	a.step("hand the virtual IPs over")
	a.away = true
	if err := a.maintain(true); err != nil {
		return err
	}
	// If the revision parts the nodes, the others are in maintenance when the last one hands over. They come back when no
	// machine holds the virtual IPs.
	return a.maintenance(ctx, control.MaintenanceRequest{On: true, For: awayTime, Force: a.effects.parts && a.last})
}

func (a *application) maintenance(ctx context.Context, req control.MaintenanceRequest) error {
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	var done control.Maintenance
	if err := a.Ask(ctx, control.Request{Command: "maintenance", Maintenance: &req}, &done); err != nil {
		return err
	}
	if done.Refused != "" {
		return errors.New(done.Refused)
	}
	return nil
}

// restartAgent has the agent's daemon run on its new program and its new agent.yaml. keepalived keeps its VIPs meanwhile.
func (a *application) restartAgent(ctx context.Context) error {
	if !a.effects.agent {
		return nil
	}
	a.step("restart the agent")
	if err := a.installAgent(); err != nil {
		return err
	}
	if err := a.systemctl(ctx, "restart", wellknown.AgentUnit); err != nil {
		return err
	}
	return a.awaitDaemon(ctx)
}

func (a *application) awaitDaemon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonTime)
	defer cancel()
	return poll.Until(ctx, 100*time.Millisecond, func() (bool, error) {
		_, err := a.status(ctx)
		return err == nil, err
	})
}

// stopAgent stops the agent's daemon. The node is in maintenance, which keeps it without VIPs.
func (a *application) stopAgent(ctx context.Context) error {
	return a.systemctl(ctx, "stop", wellknown.AgentUnit)
}

// startAgent starts the daemon on files that are all in their places. It takes those of keepalived over.
func (a *application) startAgent(ctx context.Context) error {
	if err := a.systemctl(ctx, "start", wellknown.AgentUnit); err != nil {
		return err
	}
	return a.awaitDaemon(ctx)
}

func (a *application) status(ctx context.Context) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var s control.Status
	err := a.Ask(ctx, control.Request{Command: "status"}, &s)
	return s, err
}

// restartServices restarts what a reload cannot replace. The node holds no virtual IP now.
func (a *application) restartServices(ctx context.Context) error {
	e := a.effects
	for _, u := range []struct {
		is   bool
		name string
	}{{e.haproxy, wellknown.HAProxyUnit}, {e.keepalived, wellknown.KeepalivedUnit}} {
		if !u.is {
			continue
		}
		a.step("restart " + u.name)
		if err := a.systemctl(ctx, "restart", u.name); err != nil {
			return err
		}
	}
	return nil
}

// returnToService ends the maintenance that the application began. One that parts the nodes goes on until this node hears the
// others again: see Supervisor.
func (a *application) returnToService(ctx context.Context) error {
	if !a.away || a.parted() {
		return nil
	}
	return a.comeBack(ctx)
}

// comeBack ends a maintenance that has an end. One of the operator's without an end stays.
func (a *application) comeBack(ctx context.Context) error {
	s, err := a.status(ctx)
	if err != nil {
		return err
	}
	if s.Maintenance && !s.MaintenanceUntil.IsZero() {
		a.step("come back into service")
		if err := a.maintenance(ctx, control.MaintenanceRequest{}); err != nil {
			return err
		}
	}
	return a.maintain(false)
}

// prove waits until the node is healthy on exactly these files.
func (a *application) prove(ctx context.Context) error {
	a.step("prove")
	ctx, cancel := context.WithTimeout(ctx, a.within)
	defer cancel()
	err := poll.Until(ctx, 200*time.Millisecond, func() (bool, error) {
		s, err := a.status(ctx)
		if err != nil {
			return false, err
		}
		s.Revision = nil // an open trial is a problem of the status, but this trial is the one to be ended
		s.Judge(time.Now())
		if !s.Healthy {
			return false, fmt.Errorf("the node is not healthy: %s", strings.Join(s.Problems, "; "))
		}
		for _, in := range s.Instances {
			if in.State == control.Unknown && !s.Maintenance {
				return false, fmt.Errorf("keepalived has not reported the state of %s", in.Name)
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, f := range a.to.Files {
		if d, err := differs(f); err != nil || d != same && !isTrials(f.Path) {
			return fmt.Errorf("%s is not as in the revision: something else has changed it meanwhile (%v)", f.Path, err)
		}
	}
	return nil
}
