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
	return inGroup("The network", []row{
		{name: "link of the VIP's network cut for 3 s", harm: cut("eth4")},
		{name: "link of the nodes' network cut for 3 s", harm: cut("eth3")},
		{name: "both nodes cut from each other for 8 s", parted: true, harm: parted},
	})
}

// cut disconnects a cable of the holder.
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

// state returns the state of a node's instance.
func state(s control.Status) (string, error) {
	for _, i := range s.Instances {
		return fmt.Sprintf("%s is %s", i.Name, i.State), nil
	}
	return "", fmt.Errorf("status has no instance: %+v", s)
}

// parted disconnects the nodes from each other on their network, while all other machines are reachable. Both become MASTER.
func parted(ctx context.Context, r *run) error {
	for _, h := range r.hosts() {
		if err := h.Isolate("eth3", true); err != nil {
			return err
		}
	}
	heal := time.After(8 * time.Second)
	if err := await(ctx, func() error { return bothHold(r.Holders) }); err != nil {
		return err
	}
	if err := r.told(ctx, r.otherHolder); err != nil {
		return err
	}
	// After 8 s or later, the kernels drop the hardware address of the peer, to which VRRP packets are sent.
	for _, h := range r.hosts() {
		if err := sh(ctx, h, "ip neighbour flush dev eth3"); err != nil {
			return err
		}
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
	if took > mostAfterHealing {
		return fmt.Errorf("both nodes held the VIP for %v after the network had healed: %v", took, r.Holders.Spans())
	}
	r.end = fmt.Sprintf("one holder %d ms after it healed", took.Milliseconds())
	return nil
}

// mostAfterHealing is the longest time for which both nodes may hold the VIP after a cut network was repaired. The agent
// asks for the peer five times a second, and after that an advertisement must arrive. The kernel alone asks once a second.
const mostAfterHealing = 600 * time.Millisecond

// otherHolder returns the report of a holder that finds another holder on the link, for each address of the VIP.
func (p *pair) otherHolder(s control.Status) (string, error) {
	var found []string
	for _, v := range s.VIPs {
		for _, o := range v.OtherHolders {
			found = append(found, o.Address)
		}
	}
	for _, a := range p.Family.Addresses(cluster.VIP) {
		if !slices.Contains(found, a.String()) {
			return "", fmt.Errorf("status has no other holder of %v: %+v", a, s.VIPs)
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
