package matrix

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/test/cluster"
)

func agentRows() []row {
	return inGroup("The agent itself", []row{
		{name: "killed at each step of a good change", lossless: true, harm: killed},
		{name: "killed at each step of a change that does not prove", harm: killedGoingBack},
		{name: "stopped by SIGSTOP, haproxy.cfg edited meanwhile", lossless: true, harm: stopped},
		{name: "D-Bus down, haproxy.cfg edited meanwhile, and D-Bus back", lossless: true, harm: noBus},
		{name: "no room left in /var/lib/ha-agent, a good and a bad edit", harm: diskFull},
	})
}

// saveAndKill saves a file on the holder and has the agent killed at a step of the change: a build with the tag faultpoints
// does that to itself.
func (r *run) saveAndKill(ctx context.Context, step, content string) error {
	const point = "/run/ha-agent/faultpoint"
	if err := cluster.Pipe(ctx, r.holder, step, `cat >"$1"`, point); err != nil {
		return err
	}
	if err := cluster.ByRename().Save(ctx, r.holder, haproxyCfg, content); err != nil {
		return err
	}
	return poll(ctx, func() error {
		if _, err := r.holder.ReadFile(point); err == nil {
			return fmt.Errorf("the agent does not come to the step %q", step)
		}
		return nil
	})
}

func killed(ctx context.Context, r *run) error {
	steps := []string{"validated", "begun", "taken haproxy", "proven", "committed", "written"}
	for _, step := range steps {
		mark := strings.ReplaceAll(step, " ", "-")
		content := cluster.Marked(r.original[r.holder.Name][haproxyCfg], mark)
		r.users = nil
		r.saved(haproxyCfg, content)
		err := r.saveAndKill(ctx, step, content)
		if err == nil {
			err = r.serves(ctx, mark)
		}
		if err == nil {
			err = r.proven(ctx)
		}
		if err != nil {
			return fmt.Errorf("killed when it was %s: %w", step, err)
		}
	}
	r.said = "good: what runs is what is on the disk, each time"
	r.end = fmt.Sprintf("each of %d new ones serves", len(steps))
	return nil
}

// killedGoingBack kills the agent over a file that passes every check and that no worker starts on.
func killedGoingBack(ctx context.Context, r *run) error {
	good := r.original[r.holder.Name][haproxyCfg]
	steps := []string{"validated", "begun", "set aside", "restored haproxy", "restored", "taken back", "written"}
	for _, step := range steps {
		bad := strings.Replace(good, "global\n", "# "+step+"\n"+noWorker, 1)
		r.saved(haproxyCfg, bad)
		err := r.saveAndKill(ctx, step, bad)
		if err == nil {
			err = poll(ctx, func() error {
				now, err := r.holder.ReadFile(haproxyCfg)
				if err == nil && string(now) != good {
					err = fmt.Errorf("%s is not the last known good one", haproxyCfg)
				}
				return err
			})
		}
		if err == nil {
			err = r.proven(ctx)
		}
		if err != nil {
			return fmt.Errorf("killed when it was %s: %w", step, err)
		}
	}
	r.said = "good: what runs is what is on the disk, each time"
	r.end = fmt.Sprintf("the old one serves and is back in place; all %d new ones are set aside", len(steps))
	return nil
}

// stopped waits for the watchdog: a daemon that does not move is no use.
func stopped(ctx context.Context, r *run) error {
	if err := sh(ctx, r.holder, "systemctl kill --kill-whom=main --signal=STOP ha-agent.service"); err != nil {
		return err
	}
	if err := r.save(ctx, cluster.ByRename(), haproxyCfg, cluster.Marked(r.original[r.holder.Name][haproxyCfg], "stopped")); err != nil {
		return err
	}
	began := time.Now()
	s, err := cluster.Status(ctx, r.holder)
	if err != nil {
		return err
	}
	r.said = "the daemon does not answer"
	if s.Daemon.Running {
		return fmt.Errorf("status says that a daemon runs which is stopped: %+v", s.Daemon)
	}
	if err := r.serves(ctx, "stopped"); err != nil {
		return err
	}
	r.end = fmt.Sprintf("systemd's watchdog has started it anew; the new one serves after %.0f s", time.Since(began).Seconds())
	return nil
}

func noBus(ctx context.Context, r *run) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	if err := sh(ctx, r.holder, "systemctl stop dbus.socket dbus.service"); err != nil {
		return err
	}
	if err := r.save(ctx, cluster.ByRename(), haproxyCfg, cluster.Marked(r.original[r.holder.Name][haproxyCfg], "no-bus")); err != nil {
		return err
	}
	// Long enough for a settled change, and for the agent to look again.
	if err := sh(ctx, r.holder, "sleep 4; systemctl start dbus.socket dbus.service"); err != nil {
		return err
	}
	if err := r.serves(ctx, "no-bus"); err != nil {
		return err
	}
	_, err = r.saying(ctx, n, control.Proven)
	r.end = "the new one serves"
	return err
}

// diskFull has the store on a file system of its own without room, and room again in the end.
func diskFull(ctx context.Context, r *run) error {
	const fill = `systemctl stop ha-agent.service; cp -a /var/lib/ha-agent /run/full
mount -t tmpfs -o size=512k,mode=711 full /var/lib/ha-agent; cp -a /run/full/. /var/lib/ha-agent/; rm -r /run/full
dd if=/dev/zero of=/var/lib/ha-agent/filler bs=4k 2>/dev/null || :
systemctl start ha-agent.service`
	if err := sh(ctx, r.holder, fill); err != nil {
		return err
	}
	original := r.original[r.holder.Name][haproxyCfg]
	if err := r.save(ctx, cluster.ByRename(), haproxyCfg, cluster.Marked(original, "full")); err != nil {
		return err
	}
	err := r.serves(ctx, "full")
	if err == nil {
		err = r.told(ctx, noRoom)
	}
	if err == nil {
		err = r.save(ctx, cluster.ByRename(), haproxyCfg, strings.Replace(cluster.Marked(original, "fuller"), "global\n", noWorker, 1))
	}
	if err == nil {
		err = r.serves(ctx, "full")
	}
	const empty = `systemctl stop ha-agent.service; rm /var/lib/ha-agent/filler; cp -a /var/lib/ha-agent /run/full
umount /var/lib/ha-agent; cp -a /run/full/. /var/lib/ha-agent/; rm -r /run/full; systemctl start ha-agent.service`
	r.end = "the good one serves"
	if again := sh(ctx, r.holder, empty); err == nil {
		err = again
	}
	return err
}

// noRoom is what status says of a change that runs and could not be kept.
func noRoom(s control.Status) (string, error) {
	if s.LastChange == nil || s.LastChange.Verdict != control.Proven || s.LastChange.Reason == "" {
		return "", fmt.Errorf("status does not say that there is no room: %+v", s.LastChange)
	}
	return fmt.Sprintf("%s: %s", s.LastChange.Verdict, s.LastChange.Reason), nil
}
