package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/status"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/trial"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/internal/wellknown"
)

func cmdStatus(ctx context.Context, e *env, args []string) error {
	fs := e.flags("status")
	asJSON := fs.Bool("json", false, "print the status as JSON")
	conf := fs.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`, used if the daemon does not answer")
	timeout := fs.Duration("timeout", 10*time.Second, "time limit for the daemon's answer")
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	s, err := askStatus(ctx, *conf, *timeout)
	if err != nil {
		return err
	}
	s.Judge(time.Now())
	if *asJSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(s)
	} else {
		err = printStatus(e.stdout, s)
	}
	if err == nil && !s.Healthy {
		err = exitstatus.With(exitstatus.No, nil)
	}
	return err
}

// askStatus asks the daemon for the status. If the daemon does not run, it collects the status itself.
func askStatus(ctx context.Context, conf string, timeout time.Duration) (control.Status, error) {
	var s control.Status
	askCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	why := control.Ask(askCtx, wellknown.AgentSocket, control.Request{Command: "status"}, &s)
	if why == nil {
		return s, nil
	}
	c, err := config.Load(conf)
	if err != nil {
		return s, err
	}
	bus, st := systemd.System(), store.At(wellknown.AgentState)
	defer bus.Close()
	targets := target.Node{Conf: c, ProcSys: "/proc/sys", Store: st, Run: validator.Run, Units: bus}.Targets()
	s = (&status.Observer{Conf: c, Mark: wellknown.Mark, Store: st, Targets: targets, Units: bus, Run: validator.Run, Version: version.String(),
		Revisions: trial.At(wellknown.Revisions)}).Observe(ctx)
	s.Daemon.Why = why.Error()
	return s, nil
}
