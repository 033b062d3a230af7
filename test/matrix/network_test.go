package matrix

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

func networkRows() []row {
	return inGroup("The network, and maintenance", []row{
		{name: "link of the VIP's network cut for 3 s", harm: cut("eth4")},
		{name: "link of the nodes' network cut for 3 s", harm: cut("eth3")},
		{name: "both nodes cut from each other for 8 s", parted: true, harm: parted},
		{name: "maintenance, on while a change is carried out, and off", harm: maintenance},
		{name: "maintenance, with no peer that could take over", harm: refusedMaintenance},
	})
}

// cut pulls a cable of the holder.
func cut(iface string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		if err := r.holder.Cut(iface); err != nil {
			return err
		}
		heal := time.After(3 * time.Second)
		if err := r.Holders.WaitHolder(ctx, r.other.Name, time.Second); err != nil {
			return err
		}
		if err := r.told(ctx, state); err != nil {
			return err
		}
		<-heal
		r.end = "as before, on the other node"
		return r.holder.Heal(iface)
	}
}

// state is what a node says of its instance.
func state(s control.Status) (string, error) {
	for _, i := range s.Instances {
		return fmt.Sprintf("%s is %s", i.Name, i.State), nil
	}
	return "", fmt.Errorf("status names no instance: %+v", s)
}

// parted has the network that joins the nodes not let them see each other, while all else is reached: both become MASTER.
func parted(ctx context.Context, r *run) error {
	for _, h := range r.hosts() {
		if err := h.Isolate("eth3", true); err != nil {
			return err
		}
	}
	heal := time.After(8 * time.Second)
	if err := poll(ctx, func() error { return bothHold(r.Holders) }); err != nil {
		return err
	}
	if err := r.told(ctx, r.otherHolder); err != nil {
		return err
	}
	<-heal
	for _, h := range r.hosts() {
		if err := h.Isolate("eth3", false); err != nil {
			return err
		}
	}
	healed := time.Now()
	_, err := r.Holders.WaitOne(ctx, time.Second)
	if err != nil {
		return err
	}
	took := r.Holders.Overlap(healed)
	r.end = fmt.Sprintf("one holder %d ms after it healed", took.Milliseconds())
	return err
}

// otherHolder is what a holder reports that finds another one on the link, for each address of the VIP.
func (p *pair) otherHolder(s control.Status) (string, error) {
	var found []string
	for _, v := range s.VIPs {
		for _, o := range v.OtherHolders {
			found = append(found, o.Address)
		}
	}
	for _, a := range p.Family.Addresses(cluster.VIP) {
		if !slices.Contains(found, a.String()) {
			return "", fmt.Errorf("status names no other holder of %v: %+v", a, s.VIPs)
		}
	}
	return fmt.Sprintf("%s: another machine answers for %s", s.VIPs[0].Name, strings.Join(found, " and ")), nil
}

func bothHold(f *lab.Holders) error {
	if now := f.Now(); len(now) != 2 {
		return fmt.Errorf("the VIP is on %v", now)
	}
	return nil
}

// maintenance gives the VIP away while the agent takes a new file over.
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
	if _, err := r.saying(ctx, n, control.Proven); err != nil {
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

// refusedMaintenance asks for it where it would leave the VIP without a holder.
func refusedMaintenance(ctx context.Context, r *run) error {
	if err := sh(ctx, r.other, "systemctl stop keepalived.service"); err != nil {
		return err
	}
	out, code, err := r.holder.Run(ctx, "ha-agent", "maintenance", "on")
	if err == nil && code != 1 {
		err = fmt.Errorf("ha-agent maintenance on ended with status %d: %s", code, out)
	}
	r.said = strings.TrimPrefix(strings.TrimSpace(out), "ha-agent: ")
	r.end = "the VIP is where it was"
	if started := sh(ctx, r.other, "systemctl start keepalived.service"); err == nil {
		err = started
	}
	return err
}
