package agent

import (
	"context"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/systemd"
)

// sinceBoot is the time on CLOCK_MONOTONIC, in which systemd tells when a process was started.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// currentInstances are the node's instances as the keepalived that runs now has told them. What an earlier one told is
// unknown: a stale MASTER is worse than none.
func (d *Daemon) currentInstances(ctx context.Context, told map[string]control.Instance, held []vip.Held) []control.Instance {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	unit, err := d.Bus.Service(ctx, d.Conf.Keepalived.Unit)
	names := slices.Collect(maps.Keys(told))
	for _, v := range d.Conf.VIPs {
		names = append(names, v.Instances...)
	}
	slices.Sort(names)
	var all []control.Instance
	for _, name := range slices.Compact(names) {
		i, ok := told[name]
		if !ok {
			i = control.Instance{Name: name, State: control.Unknown, Why: "keepalived has not told"}
		}
		i.Kernel = inKernel(d.Conf.VIPs, name, held)
		if why := doubt(i, unit, err); ok && why != "" {
			i = control.Instance{Name: name, State: control.Unknown, Why: why, Kernel: i.Kernel}
		}
		all = append(all, i)
	}
	return all
}

// doubt tells why what was told of an instance need not hold now, or nothing.
func doubt(i control.Instance, unit systemd.Unit, err error) string {
	switch {
	case err != nil:
		// Without systemd the kernel alone can bear it out.
		if master := keepalived.State(i.State) == keepalived.Master; master == (i.Kernel == "held") && i.Kernel != "" {
			return ""
		}
		return "keepalived said " + i.State + ", which nothing bears out: " + err.Error()
	case !unit.Running() || unit.MainPID == 0:
		return "keepalived does not run"
	case i.SinceBoot < unit.StartedSinceBoot:
		return "keepalived was started anew and has not told yet"
	}
	return ""
}

// inKernel tells whether the kernel has the addresses of an instance. Of a VIP with an instance for each family, it has
// those of this instance or not, which only keepalived.conf tells apart: then it is not known here.
func inKernel(vips []config.VIP, name string, held []vip.Held) string {
	for _, v := range vips {
		if len(v.Instances) != 1 || v.Instances[0] != name {
			continue
		}
		switch on, missing := vip.Of(v, held); {
		case len(missing) == 0:
			return "held"
		case len(on) == 0:
			return "not held"
		}
		return "held in part"
	}
	return ""
}

// vips are the virtual IPs as the kernel has them, and who else answers for them.
func (d *Daemon) vips(held []vip.Held) []control.VIP {
	var all []control.VIP
	for _, v := range d.Conf.VIPs {
		on, _ := vip.Of(v, held)
		cv := control.VIP{Name: v.Name, Interface: v.Interface, Held: len(on) > 0, Instances: v.Instances}
		for _, a := range v.Addresses {
			cv.Addresses = append(cv.Addresses, a.String())
		}
		if d.hooks != nil {
			cv.OnChange = d.hooks.Status(v.Name)
		}
		for _, a := range on {
			cv.HeldAddresses = append(cv.HeldAddresses, a.String())
			d.others(&cv, v, vip.Held{Interface: v.Interface, Address: a})
		}
		all = append(all, cv)
	}
	return all
}

// others adds who else answers for an address that is held.
func (d *Daemon) others(cv *control.VIP, v config.VIP, h vip.Held) {
	if d.rivals == nil {
		return
	}
	others, err := d.rivals.Others(h)
	if err != nil {
		cv.OtherHoldersUnknown = err.Error()
	}
	for _, o := range others {
		cv.OtherHolders = append(cv.OtherHolders, control.OtherHolder{Address: h.Address.String(), HardwareAddress: o})
	}
}
