package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
)

func cmdStatus(ctx context.Context, e *env, args []string) error {
	fs := e.flags("status")
	asJSON := fs.Bool("json", false, "print the status as JSON")
	conf := fs.String("config", config.Path, "the agent's configuration `FILE`, where the daemon is dead")
	timeout := fs.Duration("timeout", 10*time.Second, "for the daemon's answer")
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	s, err := askStatus(ctx, *conf, *timeout)
	if err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	printStatus(e.stdout, s)
	return nil
}

// askStatus asks the daemon, and where that is dead looks by itself.
func askStatus(ctx context.Context, conf string, timeout time.Duration) (control.Status, error) {
	var s control.Status
	askCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	why := control.Ask(askCtx, control.Path, control.Request{Command: "status"}, &s)
	if why == nil {
		return s, nil
	}
	c, err := config.Load(conf)
	if err != nil {
		return s, err
	}
	d := daemon(c, conf)
	defer d.Bus.Close()
	s = d.Observe(ctx)
	s.Daemon.Why = why.Error()
	return s, nil
}

func printStatus(out io.Writer, s control.Status) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "node\t%s of cluster %s\n", s.Node, s.Cluster)
	if s.Daemon.Running {
		fmt.Fprintf(w, "agent\trunning since %s, process %d, version %s\n", at(s.Daemon.Since), s.Daemon.PID, s.Versions.Agent)
	} else {
		fmt.Fprintf(w, "agent\tNOT RUNNING: %s\n", s.Daemon.Why)
	}
	switch {
	case s.Maintenance && s.MaintenanceUntil.IsZero():
		fmt.Fprintf(w, "maintenance\tON: this node holds no VIP until `ha-agent maintenance off`\n")
	case s.Maintenance && !s.Daemon.Running:
		fmt.Fprintf(w, "maintenance\tON: this node holds no VIP until `ha-agent maintenance off`: the daemon, which would end it at %s, does not run\n", at(s.MaintenanceUntil))
	case s.Maintenance:
		fmt.Fprintf(w, "maintenance\tON: this node holds no VIP until %s, or `ha-agent maintenance off`\n", at(s.MaintenanceUntil))
	}
	if s.HAProxy.Answers {
		fmt.Fprintf(w, "haproxy\tanswers, version %s\n", s.Versions.HAProxy)
	} else {
		fmt.Fprintf(w, "haproxy\tDOES NOT ANSWER: %s\n", s.HAProxy.Why)
	}
	for _, v := range s.VIPs {
		holds := "not held here"
		if v.Held {
			holds = "held here"
		}
		fmt.Fprintf(w, "VIP %s\t%s, %s on %s\n", v.Name, holds, strings.Join(v.Addresses, " "), v.Interface)
	}
	for _, i := range s.Instances {
		fmt.Fprintf(w, "instance %s\t%s, priority %d, since %s\n", i.Name, i.State, i.Priority, at(i.Since))
	}
	if !s.Daemon.Running {
		fmt.Fprintf(w, "instances\tnot known without the daemon\n")
	}
	for _, t := range s.Targets {
		active := ""
		if t.Active != "" {
			active = ", " + t.Unit + " is " + t.Active
		}
		fmt.Fprintf(w, "target %s\tgeneration %d%s\n", t.Name, t.Generation, active)
		for _, f := range t.Files {
			fmt.Fprintf(w, "\t%s %s %.12s\n", f.State, f.Path, f.Digest)
		}
	}
	if c := s.LastChange; c != nil {
		fmt.Fprintf(w, "last change\t%d of %s: %s, at %s, took %s\n", c.Number, strings.Join(c.Targets, ", "), c.Verdict, at(c.Time), c.Took)
		if c.Reason != "" {
			fmt.Fprintf(w, "\t%s\n", c.Reason)
		}
	}
}

func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
