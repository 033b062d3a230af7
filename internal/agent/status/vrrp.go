package status

import (
	"context"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
)

// instances returns the node's instances. Only the daemon receives their states.
func (o *Observer) instances(ctx context.Context, held []vip.Held) []control.Instance {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	var told map[string]vrrp.Instance
	if o.Daemon != nil {
		told = o.Daemon.Instances()
	}
	unit, err := o.Units.Service(ctx, o.Conf.Keepalived.Unit)
	var all []control.Instance
	for _, seen := range vrrp.Observe(told, o.Conf.VIPs, held, unit, err) {
		i := control.Instance{Name: seen.Name, State: string(seen.State), Why: seen.Doubt, Priority: seen.Priority, Since: seen.Since, SinceBoot: seen.SinceBoot,
			Kernel: seen.Kernel.String()}
		if seen.Doubt != "" {
			i.State = control.Unknown
		}
		if o.Daemon == nil {
			i.Why = "only the daemon receives the states of keepalived"
		}
		all = append(all, i)
	}
	return all
}

// vips returns the virtual IPs as the kernel has them, and other machines that answer for them.
func (o *Observer) vips(held []vip.Held) []control.VIP {
	var all []control.VIP
	for _, v := range o.Conf.VIPs {
		on, _ := vip.Of(v, held)
		cv := control.VIP{Name: v.Name, Interface: v.Interface, Held: len(on) > 0, Instances: v.Instances}
		for _, a := range v.Addresses {
			cv.Addresses = append(cv.Addresses, a.String())
		}
		if o.Daemon != nil && o.Daemon.OnChange != nil {
			cv.OnChange = o.Daemon.OnChange(v.Name)
		}
		for _, a := range on {
			cv.HeldAddresses = append(cv.HeldAddresses, a.String())
			o.others(&cv, v, vip.Held{Interface: v.Interface, Address: a})
		}
		all = append(all, cv)
	}
	return all
}

// others adds the other machines that answer for an address that is held.
func (o *Observer) others(cv *control.VIP, v config.VIP, h vip.Held) {
	if o.Daemon == nil {
		return // the link was not asked
	}
	others, err := o.Daemon.Others(h)
	if err != nil {
		cv.OtherHoldersUnknown = err.Error()
	}
	for _, who := range others {
		cv.OtherHolders = append(cv.OtherHolders, control.OtherHolder{Address: h.Address.String(), HardwareAddress: who})
	}
}
