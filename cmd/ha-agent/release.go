package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/keepalived"
)

func cmdRelease(_ context.Context, e *env, args []string) error {
	fs := e.flags("release")
	conf := fs.String("config", config.Path, "the agent's configuration `FILE`, which names the virtual IPs")
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	c, err := config.Load(*conf)
	if err != nil {
		return err
	}
	r := vip.Releaser{VIPs: c.VIPs, ProcSys: "/proc/sys", Running: func() (int, error) { return keepalived.Running("/proc") }}
	released, err := r.Release()
	for _, p := range released {
		fmt.Fprintf(e.stdout, "took %v off, which keepalived had left behind\n", p)
	}
	if errors.Is(err, vip.ErrInUse) {
		return exitstatus.With(exitstatus.No, err)
	}
	return err
}
