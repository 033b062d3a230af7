package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/hook"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/systemd"
)

// newHooks returns what runs the on_change commands of VIPs.
func (d *Daemon) newHooks() *hook.Runner {
	return &hook.Runner{Conf: d.Conf, Log: d.Log, Mask: d.mask,
		State: func(v config.VIP) (hook.State, bool) { return stateOf(v, d.vrrp.List(), vip.Addresses) },
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

// lateAddress is how long keepalived may take to add the addresses of an instance of which it said MASTER.
const lateAddress = 2 * time.Second

// stateOf returns what keepalived said of a VIP's instance. A MASTER without the VIP's addresses is none any more: keepalived has
// died since.
func stateOf(v config.VIP, told map[string]vrrp.Instance, addresses func() ([]vip.Held, error)) (hook.State, bool) {
	if len(v.Instances) == 0 {
		return hook.State{}, false
	}
	in, ok := told[v.Instances[0]]
	if !ok {
		return hook.State{}, false
	}
	state := hook.State{State: in.State, Priority: in.Priority}
	if state.State != keepalived.Master || in.Age() < lateAddress {
		return state, true
	}
	held, err := addresses()
	if err != nil {
		return state, true
	}
	if on, _ := vip.Of(v, held); len(on) == 0 {
		state.State = keepalived.Stopped
	}
	return state, true
}

// mask returns what hides secrets of the configuration in a line of a command's output.
func (d *Daemon) mask() func(line string) string {
	var files [][]byte
	for _, path := range []string{d.Conf.HAProxy.Config, d.Conf.Keepalived.Config} {
		if b, err := regular.ReadFile(path, regular.MaxConfig); err == nil {
			files = append(files, b)
		}
	}
	return redact.NewConfig(files...).Message
}
