package matrix

import (
	"context"
	"fmt"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
)

func networkRows() []row {
	return inGroup("The network", []row{
		{name: "link of the VIP's network cut for 3 s", harm: cut("eth4")},
		{name: "link of the nodes' network cut for 3 s", harm: cut("eth3")},
		{name: "both nodes cut from each other for 8 s", parted: true, harm: parted},
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
	if err := r.told(ctx, otherHolder); err != nil {
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

// otherHolder is what a holder says that finds another one on the link.
func otherHolder(s control.Status) (string, error) {
	for _, v := range s.VIPs {
		for _, o := range v.OtherHolders {
			return fmt.Sprintf("%s: another machine answers for %s", v.Name, o.Address), nil
		}
	}
	return "", fmt.Errorf("status names no other holder: %+v", s.VIPs)
}

func bothHold(f *lab.Holders) error {
	if now := f.Now(); len(now) != 2 {
		return fmt.Errorf("the VIP is on %v", now)
	}
	return nil
}
