package matrix

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/test/cluster"
)

func serviceRows() []row {
	return inGroup("haproxy, keepalived and the node", []row{
		{name: "haproxy killed", harm: haproxyKilled},
		{name: "haproxy stopped by SIGSTOP", harm: haproxyStopped},
		{name: "haproxy out of connections for 5 s", harm: outOfConnections},
		{name: "reboot with both files broken", harm: rebootBroken},
		{name: "power cut with both files broken", harm: powerCutBroken},
	})
}

// told records the holder's status as soon as it shows that the holder does not hold the VIP or that haproxy does not
// answer.
func (r *run) told(ctx context.Context, want func(control.Status) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return await(ctx, func() error {
		s, err := cluster.Status(ctx, r.holder)
		if err == nil {
			r.said, err = want(s)
		}
		return err
	})
}

func haproxyKilled(ctx context.Context, r *run) error {
	if err := fault.HAProxyKilled().Strike(ctx, r.holder); err != nil {
		return err
	}
	err := r.told(ctx, haproxyDown)
	r.end = "systemd has started it again"
	return err
}

func haproxyDown(s control.Status) (string, error) {
	if s.HAProxy.Answers {
		return "", fmt.Errorf("status reports that haproxy answers")
	}
	return "haproxy does not answer: " + s.HAProxy.Why, nil
}

func haproxyStopped(ctx context.Context, r *run) error {
	if err := fault.HAProxyStuck().Strike(ctx, r.holder); err != nil {
		return err
	}
	began := time.Now()
	if err := r.told(ctx, haproxyDown); err != nil {
		return err
	}
	if err := r.Holders.WaitHolder(ctx, r.other.Name, 0); err != nil {
		return err
	}
	if err := r.restarted(ctx); err != nil {
		return err
	}
	r.end = fmt.Sprintf("restarted after %.0f s", time.Since(began).Seconds())
	return nil
}

// restarted waits until a haproxy that hangs for 10 s is restarted.
func (r *run) restarted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return await(ctx, func() error { return up(ctx, r.holder) })
}

// outOfConnections takes all of haproxy's connections for clients. haproxy still answers the check, and moving the VIP would
// not help for long.
func outOfConnections(ctx context.Context, r *run) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	few := strings.Replace(r.original[r.holder.Name][haproxyCfg], "global\n", "global\n    maxconn 20\n", 1)
	if err := r.save(ctx, cluster.ByRename(), haproxyCfg, few); err != nil {
		return err
	}
	if _, err := r.saying(ctx, n, journal.Proven); err != nil {
		return err
	}
	var idle []io.Closer
	for range 40 {
		conn, err := r.Client.Dial(ctx, "tcp", netip.AddrPortFrom(r.Family.Addresses(cluster.VIP)[0], cluster.PairPort).String())
		if err != nil {
			return err
		}
		// An incomplete request holds a connection until timeout http-request.
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
			return err
		}
		idle = append(idle, conn)
	}
	rest := time.After(5 * time.Second)
	s, err := cluster.Status(ctx, r.holder)
	<-rest
	for _, conn := range idle {
		_ = conn.(net.Conn).Close()
	}
	r.said = fmt.Sprintf("haproxy answers: %v", s.HAProxy.Answers)
	r.end = "serves as before"
	return err
}

func keepalivedKilled(ctx context.Context, r *run) error {
	if err := sh(ctx, r.holder, "kill -KILL $(pidof keepalived)"); err != nil {
		return err
	}
	s, err := cluster.Status(ctx, r.holder)
	if err != nil {
		return err
	}
	for _, i := range s.Instances {
		r.said = strings.TrimSuffix(fmt.Sprintf("%s is %s: %s", i.Name, i.State, i.Why), ": ")
		if i.State == "MASTER" {
			return fmt.Errorf("status reports the state %s for a killed keepalived", i.State)
		}
	}
	r.end = "systemd has started it again"
	_, err = r.Holders.WaitOne(ctx, 2*time.Second)
	return err
}

// breakBoth saves broken files. The agent refuses them, and they are on the disk when the node boots.
func (r *run) breakBoth(ctx context.Context) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	original := r.original[r.holder.Name]
	for path, content := range map[string]string{haproxyCfg: original[haproxyCfg] + nonsense, keepalivedConf: original[keepalivedConf] + unfinished} {
		r.saved(path, content)
		if err := cluster.ByRename().Save(ctx, r.holder, path, content); err != nil {
			return err
		}
	}
	_, err = r.saying(ctx, n, journal.Refused)
	return err
}

func rebootBroken(ctx context.Context, r *run) error {
	if err := r.breakBoth(ctx); err != nil {
		return err
	}
	if err := r.holder.Reboot(ctx); err != nil {
		return err
	}
	return r.boots(ctx)
}

func powerCutBroken(ctx context.Context, r *run) error {
	if err := r.breakBoth(ctx); err != nil {
		return err
	}
	r.holder.Kill()
	if err := r.Holders.WaitHolder(ctx, r.other.Name, 0); err != nil {
		return err
	}
	if err := r.holder.Start(ctx); err != nil {
		return err
	}
	return r.boots(ctx)
}

// boots waits until the node is up again with its last known good files.
func (r *run) boots(ctx context.Context) error {
	if err := running(ctx, r.holder); err != nil {
		return err
	}
	for _, path := range []string{haproxyCfg, keepalivedConf} {
		now, err := r.holder.ReadFile(path)
		if err != nil || string(now) != r.original[r.holder.Name][path] {
			return fmt.Errorf("the last known good %s is not back (%v)", path, err)
		}
	}
	err := r.told(ctx, func(s control.Status) (string, error) {
		if !s.Daemon.Running || !s.HAProxy.Answers {
			return "", fmt.Errorf("status is %+v, %+v", s.Daemon, s.HAProxy)
		}
		if s.LastChange == nil {
			return "", nil
		}
		return strings.TrimSuffix(fmt.Sprintf("%s: %s", s.LastChange.Verdict, s.LastChange.Reason), ": "), nil
	})
	r.end = "both run on the last known good files; the broken ones are set aside"
	return err
}

func running(ctx context.Context, h *lab.Host) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return h.WaitRunning(ctx)
}
