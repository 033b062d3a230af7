package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/guard"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
)

// cmdGuard never prevents the start of a service: it reports errors and exits with 0. Only a reload can be refused.
func cmdGuard(ctx context.Context, e *env, args []string) error {
	flags := e.flags("guard")
	conf := flags.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`")
	reload := flags.Bool("reload", false, "before a reload: change nothing, and exit with 1 if the files are bad")
	if err := e.parse(flags, args, 1); err != nil {
		return err
	}
	name := flags.Arg(0)
	if !slices.Contains(target.Names[:], name) {
		return usage("guard: unknown target %q: must be one of %s", name, strings.Join(target.Names[:], ", "))
	}
	log := logger(e)
	c, err := config.Load(*conf)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !*reload:
		return nil // an image that is not a node yet has no last known good files
	case errors.Is(err, fs.ErrNotExist):
		c = usual()
	case err != nil:
		// The configuration of the services may be broken as well as agent.yaml, so the guard continues with the usual
		// paths.
		log.Error(err.Error())
		c = usual()
	}
	t, err := target.Node{Conf: c, ProcSys: "/proc/sys", Store: store.At(wellknown.AgentState), Run: validator.Run}.Target(name)
	if err != nil {
		return err
	}
	g := &guard.Guard{Target: t, Store: wellknown.AgentState, Now: time.Now, Log: log}
	if name == "sysctl" { // it has no service that reads the files when it starts
		g.Applied = func(ctx context.Context) error { return target.ApplySysctl(ctx, validator.Run, c.Sysctl.File) }
	}
	if *reload {
		if err := g.BeforeReload(ctx); err != nil {
			return exitstatus.With(exitstatus.No, err)
		}
		if name == "haproxy" {
			ctx, cancel := context.WithTimeout(ctx, stateTime)
			defer cancel()
			if err := haproxy.Socket(wellknown.AdminSocket).SaveState(ctx, c.HAProxy.Config, wellknown.ServerState); err != nil {
				log.Warn(err.Error()) // the reload matters more
			}
		}
		return nil
	}
	if err := g.BeforeStart(ctx); err != nil {
		log.Warn(err.Error())
	}
	return nil
}

// stateTime is the time limit for haproxy's answer with the states of its servers.
const stateTime = 5 * time.Second

// usual returns the paths that every generated agent.yaml contains.
func usual() *config.Config {
	return &config.Config{
		HAProxy:    config.HAProxy{Config: wellknown.HAProxyConfig, CheckSocket: wellknown.CheckSocket},
		Keepalived: config.Keepalived{Config: wellknown.KeepalivedConfig},
		Sysctl:     config.Sysctl{File: wellknown.SysctlConfig},
	}
}
