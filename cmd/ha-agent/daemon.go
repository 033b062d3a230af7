package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/hapair/hapair/internal/agent"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/internal/wellknown"
)

func cmdRun(ctx context.Context, e *env, args []string) error {
	fs := e.flags("run")
	conf := fs.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`")
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	if err := waitFor(ctx, *conf, systemd.Notifier{}); err != nil || ctx.Err() != nil {
		return err
	}
	// With one processor for Go code, a goroutine that wakes up does not wake another thread, and the runtime's monitor
	// thread sleeps.
	runtime.GOMAXPROCS(1)
	c, err := config.Load(*conf)
	if err != nil {
		return err
	}
	d := daemon(c, *conf)
	d.Log = logger(e)
	defer d.Bus.Close()
	err = d.Serve(ctx)
	if errors.Is(err, agent.ErrConfigChanged) {
		d.Log.Info("agent.yaml has changed: exiting, so that systemd restarts the agent with it")
		return nil
	}
	return err
}

// waitFor waits until the configuration exists. An image has none until cloud-init has written a node's configuration.
func waitFor(ctx context.Context, path string, n systemd.Notifier) error {
	tick := time.NewTicker(min(time.Second, max(n.WatchdogInterval(), 100*time.Millisecond)))
	defer tick.Stop()
	for told := false; ; told = true {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !told {
			if err := n.Ready("waiting for " + path); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			n.Watchdog()
		}
	}
}

// daemon returns the daemon for this machine.
func daemon(c *config.Config, conf string) *agent.Daemon {
	return &agent.Daemon{
		Conf: c, Bus: systemd.System(), Run: validator.Run, Now: time.Now, PID: os.Getpid(), Version: version.String(), Point: point,
		Paths: agent.Paths{
			Config: conf, Store: wellknown.AgentState, Control: wellknown.AgentSocket, Mark: wellknown.Mark, ProcSys: "/proc/sys",
		},
	}
}

// logger returns a logger to stderr, which is systemd's journal. It omits the time, because the journal adds it.
func logger(e *env) *slog.Logger {
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
