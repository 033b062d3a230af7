package matrix

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/test/cluster"
)

func agentRows() []row {
	return inGroup("The agent itself", []row{
		{name: "killed at each step of a good change", lossless: true, harm: killed},
		{name: "killed at each step of a change that does not prove", harm: killedGoingBack},
		{name: "panics at each step of a good change", lossless: true, harm: panics},
		{name: "panics over and over while it watches haproxy, which is killed", harm: panicsOverHAProxy},
		{name: "stopped by SIGSTOP, haproxy.cfg edited meanwhile", lossless: true, harm: stopped},
		{name: "D-Bus down, haproxy.cfg edited meanwhile, and D-Bus back", lossless: true, harm: noBus},
		{name: "no room left in /var/lib/ha-agent, a good and a bad edit", harm: diskFull},
	})
}

// saveAndKill saves a file on the holder, and has the agent killed at a step of the change. A build with the tag faultpoints
// kills itself.
func (r *run) saveAndKill(ctx context.Context, step, content string) error {
	if err := cluster.Pipe(ctx, r.holder, step, `cat >"$1"`, faultPoint); err != nil {
		return err
	}
	if err := cluster.ByRename().Save(ctx, r.holder, haproxyCfg, content); err != nil {
		return err
	}
	return await(ctx, func() error {
		if _, err := r.holder.ReadFile(faultPoint); err == nil {
			return fmt.Errorf("the agent does not reach the step %q", step)
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

// faultPoint is the file in which a build with the tag faultpoints finds the step and the action.
const faultPoint = "/run/ha-agent/faultpoint"

// panicked waits until the holder's status shows a panic in a part. The daemon must be the same process as before.
func (r *run) panicked(ctx context.Context, part, reason string, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return await(ctx, func() error {
		s, err := cluster.Status(ctx, r.holder)
		if err != nil {
			return err
		}
		if s.Daemon.PID != pid {
			return fmt.Errorf("the daemon was process %d: %+v", pid, s.Daemon)
		}
		for _, p := range s.Daemon.Panics {
			if p.Part == part && strings.HasSuffix(p.Reason, reason) {
				r.said = fmt.Sprintf("panic in %s: %s", p.Part, p.Reason)
				return nil
			}
		}
		return fmt.Errorf("status shows no panic in %s at %q: %+v", part, reason, s.Daemon)
	})
}

// panics makes changes panic at each step, until the status shows it. The agent then tries the same file again, and it
// serves.
func panics(ctx context.Context, r *run) error {
	before, err := cluster.Status(ctx, r.holder)
	if err != nil {
		return err
	}
	steps := []string{"validated", "begun", "taken haproxy", "proven", "committed", "written"}
	for _, step := range steps {
		mark := "panic-" + strings.ReplaceAll(step, " ", "-")
		content := cluster.Marked(r.original[r.holder.Name][haproxyCfg], mark)
		r.users = nil
		r.saved(haproxyCfg, content)
		err := cluster.Pipe(ctx, r.holder, "PANIC "+step, `cat >"$1"`, faultPoint)
		if err == nil {
			err = cluster.ByRename().Save(ctx, r.holder, haproxyCfg, content)
		}
		if err == nil {
			err = r.panicked(ctx, "a change of haproxy", step, before.Daemon.PID)
		}
		if err = errors.Join(err, sh(ctx, r.holder, `rm -f "$1"`, faultPoint)); err == nil {
			err = r.serves(ctx, mark)
		}
		if err == nil {
			err = r.proven(ctx)
		}
		if err != nil {
			return fmt.Errorf("when it panicked at %q: %w", step, err)
		}
	}
	r.end = fmt.Sprintf("the daemon goes on; each of %d new ones serves", len(steps))
	return nil
}

// panicsOverHAProxy makes the goroutine that writes the track file panic each time it asks haproxy. It must still notify
// keepalived at once.
func panicsOverHAProxy(ctx context.Context, r *run) error {
	before, err := cluster.Status(ctx, r.holder)
	if err != nil {
		return err
	}
	const step = "asks haproxy"
	if err := cluster.Pipe(ctx, r.holder, "PANIC "+step, `cat >"$1"`, faultPoint); err != nil {
		return err
	}
	err = r.panicked(ctx, "the track file", step, before.Daemon.PID)
	var took time.Duration
	if err == nil {
		err = sh(ctx, r.holder, "systemctl mask --runtime haproxy.service") // this makes systemd reload all units
	}
	if err == nil {
		killed := time.Now()
		err = sh(ctx, r.holder, "systemctl kill --signal=KILL haproxy.service")
		if err == nil {
			err = r.Holders.WaitHolder(ctx, r.other.Name, 0)
		}
		if took = time.Since(killed); err == nil && took > time.Second {
			err = fmt.Errorf("the VIP moved after %v: by the track_script, not by the track file", took)
		}
	}
	r.end = "the VIP moved by the track file; the daemon goes on"
	return errors.Join(err, sh(ctx, r.holder, `rm -f "$1"; systemctl unmask --runtime haproxy.service; systemctl reset-failed haproxy.service; systemctl start haproxy.service`, faultPoint))
}

// killedGoingBack kills the agent during a change to a file that passes every check, but with which no worker can start.
func killedGoingBack(ctx context.Context, r *run) error {
	good := r.original[r.holder.Name][haproxyCfg]
	steps := []string{"validated", "begun", "set aside", "restored haproxy", "restored", "taken back", "written"}
	for _, step := range steps {
		bad := strings.Replace(good, "global\n", "# "+step+"\n"+noWorker, 1)
		r.saved(haproxyCfg, bad)
		err := r.saveAndKill(ctx, step, bad)
		if err == nil {
			err = await(ctx, func() error {
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

// stopped waits for the watchdog, which must restart a daemon that does not respond.
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
		return fmt.Errorf("status reports a running daemon although it is stopped: %+v", s.Daemon)
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
	// This is long enough for a settled change, and for the next attempt of the agent.
	if err := sh(ctx, r.holder, "sleep 4; systemctl start dbus.socket dbus.service"); err != nil {
		return err
	}
	if err := r.serves(ctx, "no-bus"); err != nil {
		return err
	}
	_, err = r.saying(ctx, n, journal.Proven)
	r.end = "the new one serves"
	return err
}

// diskFull puts the store on a separate file system without free space, and later makes space again.
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

// noRoom returns the status of a change that runs but could not be stored.
func noRoom(s control.Status) (string, error) {
	if s.LastChange == nil || s.LastChange.Verdict != journal.Proven || s.LastChange.Reason == "" {
		return "", fmt.Errorf("status does not report that there is no space: %+v", s.LastChange)
	}
	return fmt.Sprintf("%s: %s", s.LastChange.Verdict, s.LastChange.Reason), nil
}
