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
	"github.com/hapair/hapair/internal/tool"
	"github.com/hapair/hapair/internal/wellknown"
)

// cmdGuard keeps no service from starting: whatever it cannot do, it tells and exits 0. Only a reload is refused.
func cmdGuard(ctx context.Context, e *env, args []string) error {
	flags := e.flags("guard")
	conf := flags.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`")
	reload := flags.Bool("reload", false, "before a reload: change nothing, exit 1 where the files are bad")
	if err := e.parse(flags, args, 1); err != nil {
		return err
	}
	name := flags.Arg(0)
	if !slices.Contains(target.Names[:], name) {
		return usage("guard: there is no target %q: there are %s", name, strings.Join(target.Names[:], ", "))
	}
	log := logger(e)
	c, err := config.Load(*conf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an image that is no node yet has nothing to go back to
	}
	if err != nil {
		// Whoever broke agent.yaml may have broken more.
		log.Error(err.Error())
		c = usual()
	}
	t, err := target.Node{Conf: c, ProcSys: "/proc/sys", Store: store.At(wellknown.AgentState), Run: tool.Run}.Target(name)
	if err != nil {
		return err
	}
	g := &guard.Guard{Target: t, Store: wellknown.AgentState, Now: time.Now, Log: log}
	if name == "sysctl" { // it has no service that reads the files when it starts
		g.Applied = func(ctx context.Context) error { return target.ApplySysctl(ctx, tool.Run, c.Sysctl.File) }
	}
	if *reload {
		if err := g.BeforeReload(ctx); err != nil {
			return exitstatus.With(exitstatus.No, err)
		}
		return nil
	}
	if err := g.BeforeStart(ctx); err != nil {
		log.Warn(err.Error())
	}
	return nil
}

// usual is what every agent.yaml says of where the files lie.
func usual() *config.Config {
	return &config.Config{
		HAProxy:    config.HAProxy{Config: wellknown.HAProxyConfig, CheckSocket: wellknown.CheckSocket},
		Keepalived: config.Keepalived{Config: wellknown.KeepalivedConfig},
		Sysctl:     config.Sysctl{File: wellknown.SysctlConfig},
	}
}
