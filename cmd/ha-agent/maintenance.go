package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/maintenance"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/wellknown"
)

// handover is the time limit for the daemon. The daemon waits for a peer twice, each time for at most six advertisement
// intervals of 40 s and one second.
const handover = 9 * time.Minute

func cmdMaintenance(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 || (args[0] != "on" && args[0] != "off") {
		if len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "-help") {
			args = append([]string{"on"}, args...)
		} else {
			return usage("maintenance: the argument must be on or off")
		}
	}
	word := args[0]
	fs := e.flags("maintenance " + word)
	conf := fs.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`, used if the daemon does not answer")
	req := control.MaintenanceRequest{On: word == "on"}
	if req.On {
		fs.DurationVar(&req.For, "for", 0, "the `DURATION` after which the daemon ends maintenance")
		fs.BoolVar(&req.Force, "force", false, "enter maintenance even if no peer takes the virtual IPs, so that they have no holder")
	}
	if err := e.parse(fs, args[1:], 0); err != nil {
		return err
	}
	if req.For < 0 {
		return usage("maintenance on: --for %v is in the past", req.For)
	}
	done, err := maintain(ctx, *conf, req)
	if err != nil {
		return err
	}
	if done.Note != "" {
		fmt.Fprintf(e.stderr, "ha-agent: %s\n", done.Note)
	}
	switch {
	case done.Refused != "":
		return exitstatus.With(exitstatus.No, errors.New(done.Refused))
	case done.On && done.Until.IsZero():
		fmt.Fprintln(e.stdout, "maintenance is on: this node holds no virtual IP until `ha-agent maintenance off`")
	case done.On:
		fmt.Fprintf(e.stdout, "maintenance is on: this node holds no virtual IP until %s\n", at(done.Until))
	default:
		fmt.Fprintln(e.stdout, "maintenance is off: this node may hold virtual IPs")
	}
	return nil
}

// maintain sends the request to the daemon. If the daemon does not run, it carries the request out itself.
func maintain(ctx context.Context, conf string, req control.MaintenanceRequest) (control.Maintenance, error) {
	ctx, cancel := context.WithTimeout(ctx, handover)
	defer cancel()
	var done control.Maintenance
	err := control.Ask(ctx, wellknown.AgentSocket, control.Request{Command: "maintenance", Maintenance: &req}, &done)
	if !errors.Is(err, control.ErrNoDaemon) || ctx.Err() != nil {
		return done, err
	}
	c, err := config.Load(conf)
	if err != nil {
		return done, err
	}
	runs := func() keepalived.File { return target.RunningKeepalived(store.At(wellknown.AgentState), c.Keepalived) }
	result, err := maintenance.Offline(c, wellknown.Mark, runs, time.Now).Answer(ctx, maintenance.Request(req))
	return control.Maintenance(result), err
}
