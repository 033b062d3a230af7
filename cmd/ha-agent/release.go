package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/wellknown"
)

func cmdRelease(_ context.Context, e *env, args []string) error {
	fs := e.flags("release")
	conf := fs.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`, which names the virtual IPs")
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	c, err := config.Load(*conf)
	if err != nil {
		return err
	}
	runs := func() keepalived.File { return target.RunningKeepalived(store.At(wellknown.AgentState), c.Keepalived) }
	released, err := vrrp.Release(c, runs, func() (int, error) { return keepalived.Running("/proc") })
	for _, r := range released {
		fmt.Fprintln(e.stdout, r)
	}
	if errors.Is(err, vip.ErrInUse) {
		return exitstatus.With(exitstatus.No, err)
	}
	return err
}
