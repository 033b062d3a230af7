package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
)

// Times for which a state must last.
const (
	servedFor  = 500 * time.Millisecond
	settledFor = time.Second
)

// pause waits for a while, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// served returns nil if, from since on and for long enough, every client got answers and, unless the nodes are parted, every
// VIP had one holder.
func (c *Cluster) served(since time.Time, parted bool) error {
	now := time.Now()
	if now.Sub(since) < servedFor {
		return errors.New("it was not watched for long enough")
	}
	for _, t := range c.targets {
		if t.watch != nil && !t.watch.steady(now, servedFor) {
			return fmt.Errorf("%s is not served: %s", t.name, t.watch.lastFailure())
		}
		if parted {
			continue
		}
		if err := t.oneHolder(now, servedFor, ""); err != nil {
			return err
		}
	}
	return nil
}

// oneHolder returns nil if exactly one host has held the VIP for the time d.
func (t *watched) oneHolder(now time.Time, d time.Duration, home string) error {
	holders := t.holders.Now()
	switch len(holders) {
	case 1:
	case 0:
		return fmt.Errorf("no node holds %s", t.name)
	default:
		return fmt.Errorf("%s hold %s", strings.Join(holders, " and "), t.name)
	}
	if home != "" && holders[0] != home {
		return fmt.Errorf("%s is on %s, but must return to %s", t.name, holders[0], home)
	}
	for _, s := range t.holders.Spans() {
		if recent := now.Add(-d); s.To.After(recent) || s.To.IsZero() && s.From.After(recent) {
			return fmt.Errorf("%s has just moved", t.name)
		}
	}
	return nil
}

// settle waits until all nodes can hold every VIP, and each VIP is on its node.
func (c *Cluster) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.limits.settle)
	defer cancel()
	since := time.Now()
	check := func() error { return c.settled(since) }
	defer c.explain(ctx, check)()
	for _, h := range c.hosts {
		if err := poll.Nil(ctx, 200*time.Millisecond, func() error { return c.ready(ctx, h) }); err != nil {
			return err
		}
	}
	since = time.Now()
	return poll.Nil(ctx, 20*time.Millisecond, check)
}

// settled returns nil if every VIP is on its node and has been served since a time.
func (c *Cluster) settled(since time.Time) error {
	now := time.Now()
	for _, t := range c.targets {
		if err := t.oneHolder(now, c.settledFor(), c.home(t)); err != nil {
			return err
		}
	}
	return c.served(since, false)
}

// ready returns nil if a host has booted and can hold the VIPs.
func (c *Cluster) ready(ctx context.Context, h *lab.Host) error {
	if c.byHand() {
		return readyByHand(ctx, h)
	}
	return ready(ctx, h)
}

func ready(ctx context.Context, h *lab.Host) error {
	out, _, err := h.Run(ctx, "systemctl", "is-system-running")
	if err != nil {
		return err
	}
	if state := strings.TrimSpace(out); state != "running" && state != "degraded" {
		return fmt.Errorf("%s is %s", h.Name, state)
	}
	s, err := statusOf(ctx, h)
	switch {
	case err != nil:
		return err
	case !s.Daemon.Running:
		return fmt.Errorf("ha-agent does not run on %s: %s", h.Name, s.Daemon.Why)
	case !s.HAProxy.Answers:
		return fmt.Errorf("haproxy does not answer on %s: %s", h.Name, s.HAProxy.Why)
	case s.Maintenance:
		return fmt.Errorf("%s is in maintenance", h.Name)
	}
	for _, i := range s.Instances {
		if slices.Contains([]string{"FAULT", "STOP"}, i.State) {
			return fmt.Errorf("%s of %s is in state %s", i.Name, h.Name, i.State)
		}
	}
	return nil
}

// statusOf returns ha-agent's status of a host.
func statusOf(ctx context.Context, h *lab.Host) (s control.Status, err error) {
	out, code, err := h.Run(ctx, "ha-agent", "status", "--json")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("ha-agent status on %s exited with status %d: %s", h.Name, code, strings.TrimSpace(out))
	}
	return s, nil
}
