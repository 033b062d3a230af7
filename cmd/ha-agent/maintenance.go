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

// handover bounds how long the daemon may take. It waits for a peer twice, for six advertisements of 40 s at most and a second.
const handover = 9 * time.Minute

func cmdMaintenance(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 || (args[0] != "on" && args[0] != "off") {
		if len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "-help") {
			args = append([]string{"on"}, args...)
		} else {
			return usage("maintenance: say on or off")
		}
	}
	word := args[0]
	fs := e.flags("maintenance " + word)
	conf := fs.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`, where the daemon is dead")
	req := control.MaintenanceRequest{On: word == "on"}
	if req.On {
		fs.DurationVar(&req.For, "for", 0, "how long: after that `DURATION` the daemon brings the node back")
		fs.BoolVar(&req.Force, "force", false, "even where no peer takes the virtual IPs: they have no holder then")
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

// maintain asks the daemon, and where that is dead does it here.
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
