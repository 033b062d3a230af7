package agent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/hook"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/systemd"
)

// newHooks returns the runner of the on_change commands of VIPs.
func (d *Daemon) newHooks() *hook.Runner {
	return &hook.Runner{Conf: d.Conf, Log: d.Log, Mask: d.mask,
		State: func(v config.VIP) (hook.State, bool) {
			in, ok := d.vrrp.Of(v, vip.Addresses)
			return hook.State{State: in.State, Priority: in.Priority}, ok
		},
		Start: func(ctx context.Context, job hook.Job, out *os.File) error {
			err := d.Bus.RunCommand(ctx, job.Unit, systemd.Command{Argv: job.Argv, Env: job.Env, User: job.User, Timeout: job.Timeout, Output: out})
			if errors.Is(err, systemd.ErrNotAsked) {
				return fmt.Errorf("%w: %w", hook.ErrNotStarted, err)
			}
			return err
		},
		Kill: d.Bus.Kill,
	}
}

// mask returns a function that hides secrets of the configuration in a line of a command's output.
func (d *Daemon) mask() func(line string) string {
	var files [][]byte
	for _, path := range []string{d.Conf.HAProxy.Config, d.Conf.Keepalived.Config} {
		if b, err := regular.ReadFile(path, regular.MaxConfig); err == nil {
			files = append(files, b)
		}
	}
	return redact.NewConfig(files...).Message
}
