// Package agent is the daemon. It watches the files of haproxy, keepalived and sysctl, tests new files with the services' own
// programs, reloads the services, proves the result, and commits it or rolls it back. It also reports to keepalived, in a track
// file, whether haproxy answers.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/change"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/duplicate"
	"github.com/hapair/hapair/internal/agent/hook"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/reach"
	"github.com/hapair/hapair/internal/agent/servers"
	"github.com/hapair/hapair/internal/agent/status"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/track"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/agent/watch"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

// Paths are the locations of the daemon's own files.
type Paths struct {
	Config  string // agent.yaml
	Store   string // /var/lib/ha-agent
	Control string // /run/ha-agent/control.sock
	Mark    string // the maintenance mark
	ProcSys string // /proc/sys
}

// Daemon is ha-agent run.
type Daemon struct {
	Conf    *config.Config
	Paths   Paths
	Bus     *systemd.Bus
	Notify  systemd.Notifier
	Run     validator.Runner
	Log     *slog.Logger
	Now     func() time.Time
	PID     int
	Version string
	// Point is called with the name of each step of a change; nil: no calls. A build for tests ends the agent there.
	Point func(name string)

	started    time.Time
	vrrp       *vrrp.States
	track      *track.Tracker
	service    *maintenance.Service
	targets    []target.Target
	changer    *change.Changer
	watcher    *watch.Watcher
	applies    chan applyJob // applies that wait for the loop
	duplicates *duplicate.Watch
	reach      *reach.Watch
	hooks      *hook.Runner
	servers    *servers.Keeper
	panics     *contain.Panics
	observer   *status.Observer
	retry      contain.Retry // used by the loop only

	reports reporter // used by the loop only

	mu   sync.Mutex
	last *journal.Change
}

// ErrConfigChanged reports that agent.yaml has changed: the daemon must be restarted.
var ErrConfigChanged = errors.New("the agent's configuration has changed")

// Serve runs until ctx ends. The end of ctx is not an error.
func (d *Daemon) Serve(ctx context.Context) error {
	if err := d.open(); err != nil {
		return err
	}
	defer d.watcher.Close()
	l, err := control.Listen(d.Paths.Control)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for part, run := range map[string]func(context.Context){
		"the VRRP states": d.vrrp.Run, "the track file": d.track.Run, "the search for other holders": d.duplicates.Run,
		"the search for peers": d.reach.Run, "the on_change commands": d.hooks.Run, "the states of servers": d.servers.Run, "the watch of keepalived": d.follower().Run,
		"the metrics": d.serveMetrics, "the control socket": func(ctx context.Context) { d.serveControl(ctx, l) },
	} {
		wg.Go(func() { d.panics.Keep(ctx, part, run) })
	}
	if err := d.Notify.Ready("watching"); err != nil {
		d.Log.Warn("cannot tell systemd that the agent is ready", "error", err)
	}
	defer d.Notify.Stopping("ending")
	return d.loop(ctx)
}

func (d *Daemon) serveControl(ctx context.Context, l net.Listener) {
	err := control.Serve(ctx, l, func(ctx context.Context, req control.Request) (result any, err error) {
		err = d.panics.Contain("the control socket", func() (err error) {
			result, err = d.answer(ctx, req)
			return err
		})
		return result, err
	})
	if err != nil {
		d.Log.Error(err.Error())
	}
}

// answer answers a request on the control socket.
func (d *Daemon) answer(ctx context.Context, req control.Request) (any, error) {
	switch {
	case req.Command == "status":
		return d.observer.Observe(ctx), nil
	case req.Command == "maintenance" && req.Maintenance != nil:
		done, err := d.service.Answer(ctx, maintenance.Request(*req.Maintenance))
		return control.Maintenance(done), err
	case req.Command == "server" && req.Server != nil:
		return d.servers.Answer(ctx, *req.Server)
	case req.Command == "apply" && req.Apply != nil:
		return d.answerApply(ctx, *req.Apply)
	}
	return nil, fmt.Errorf("cannot answer: the command %q is unknown", req.Command)
}
