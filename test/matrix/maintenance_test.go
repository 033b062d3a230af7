package matrix

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

func maintenanceRows() []row {
	return inGroup("Maintenance", []row{
		{name: "maintenance, on while a change is carried out, and off", harm: maintenance, planned: true},
		{name: "maintenance, off on one node and on at once on the other", harm: rolling, planned: true},
		{name: "maintenance, while the peer's keepalived does not run", lossless: true, harm: refusedMaintenance("keepalived.service")},
		{name: "maintenance, while the peer's haproxy does not run", lossless: true, harm: refusedMaintenance("haproxy.service")},
		{name: "maintenance, on on both nodes at once", harm: bothAtOnce},
		{name: "maintenance, while the peer is in maintenance", lossless: true, harm: lastInMaintenance},
	})
}

// maintenance gives up the VIP while the agent applies a new file.
func maintenance(ctx context.Context, r *run) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	if err := r.save(ctx, cluster.ByRename(), haproxyCfg, cluster.Marked(r.original[r.holder.Name][haproxyCfg], "maintained")); err != nil {
		return err
	}
	if err := sh(ctx, r.holder, "sleep 0.2; ha-agent maintenance on"); err != nil {
		return err
	}
	if err := r.Holders.WaitHolder(ctx, r.other.Name, time.Second); err != nil {
		return err
	}
	if _, err := r.saying(ctx, n, journal.Proven); err != nil {
		return err
	}
	s, err := cluster.Status(ctx, r.holder)
	if err != nil {
		return err
	}
	r.said = fmt.Sprintf("%s; maintenance: %v", r.said, s.Maintenance)
	if err := sh(ctx, r.holder, "ha-agent maintenance off"); err != nil {
		return err
	}
	r.end = "the new one runs; the VIP is on the other node"
	return nil
}

// refusedMaintenance requests maintenance when the VIP would lose its holder, because a unit of the peer does not run.
func refusedMaintenance(unit string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		if err := sh(ctx, r.other, "systemctl stop "+unit); err != nil {
			return err
		}
		return errors.Join(r.refused(ctx), sh(ctx, r.other, "systemctl start "+unit))
	}
}

// refused checks that maintenance is refused on the holder.
func (r *run) refused(ctx context.Context) error {
	began := time.Now()
	out, code, err := r.holder.Run(ctx, "ha-agent", "maintenance", "on")
	if err == nil && code != 1 {
		err = fmt.Errorf("ha-agent maintenance on exited with status %d: %s", code, out)
	}
	r.said = strings.TrimPrefix(strings.TrimSpace(out), "ha-agent: ")
	r.end = fmt.Sprintf("refused after %.1f s; the VIP is where it was", time.Since(began).Seconds())
	return err
}

// not returns the node that does not have the name.
func (p *pair) not(name string) *lab.Host {
	for _, h := range p.hosts() {
		if h.Name != name {
			return h
		}
	}
	return nil
}

// rolling does what a script does that puts one node after another into maintenance.
func rolling(ctx context.Context, r *run) error {
	if err := sh(ctx, r.other, "ha-agent maintenance on"); err != nil {
		return err
	}
	began := time.Now()
	if err := sh(ctx, r.other, "ha-agent maintenance off"); err != nil {
		return err
	}
	off := time.Since(began)
	if err := sh(ctx, r.holder, "ha-agent maintenance on"); err != nil {
		return err
	}
	on := time.Since(began) - off
	if err := r.Holders.WaitHolder(ctx, r.other.Name, time.Second); err != nil {
		return err
	}
	s, err := cluster.Status(ctx, r.holder)
	if err == nil && !s.Maintenance {
		err = errors.New("status does not report the maintenance")
	}
	r.said = fmt.Sprintf("maintenance: %v", s.Maintenance)
	r.end = fmt.Sprintf("off took %.1f s, on %.1f s", off.Seconds(), on.Seconds())
	return errors.Join(err, sh(ctx, r.holder, "ha-agent maintenance off"))
}

func lastInMaintenance(ctx context.Context, r *run) error {
	if err := sh(ctx, r.other, "ha-agent maintenance on"); err != nil {
		return err
	}
	return errors.Join(r.refused(ctx), sh(ctx, r.other, "ha-agent maintenance off"))
}

// bothAtOnce does what a script does that does not wait. One node must stay available.
func bothAtOnce(ctx context.Context, r *run) error {
	on := make(chan error, 2)
	for _, h := range r.hosts() {
		go func() {
			out, code, err := h.Run(ctx, "ha-agent", "maintenance", "on")
			if err == nil && code != 0 {
				err = fmt.Errorf("refused: %s", out)
			}
			on <- err
		}()
	}
	first, second := <-on, <-on
	if first == nil && second == nil {
		return errors.New("both nodes are in maintenance")
	}
	holder, err := r.Holders.WaitOne(ctx, settled)
	if err != nil {
		return err
	}
	r.said = strings.TrimSpace(strings.ReplaceAll(errors.Join(first, second).Error(), "\n", "; "))
	r.end = map[bool]string{true: "the holder holds it still", false: "the other node holds it"}[holder == r.holder.Name]
	for _, h := range r.hosts() {
		err = errors.Join(err, sh(ctx, h, "ha-agent maintenance off"))
	}
	return err
}
