package vrrp

import (
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/systemd"
)

// sinceBoot returns the time on CLOCK_MONOTONIC, which systemd uses for the start of a process.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Instance is the state of a vrrp_instance as keepalived reported it. It is stored as JSON for the agent's next start.
type Instance struct {
	Name     string           `json:"name"`
	State    keepalived.State `json:"state"`
	Priority int              `json:"priority,omitempty"`
	Since    time.Time        `json:"since,omitzero"`
	// SinceBoot is Since on the kernel's monotonic clock, which cannot be set, in nanoseconds.
	SinceBoot time.Duration `json:"since_boot,omitempty"`
}

// lateAddress is the time limit for keepalived to add the addresses of an instance that it reported as MASTER.
const lateAddress = 2 * time.Second

// Of returns the reported state of a VIP's first instance. A MASTER without the VIP's addresses is returned as stopped: its
// keepalived has died since.
func (v *States) Of(c config.VIP, addresses func() ([]vip.Held, error)) (Instance, bool) {
	if len(c.Instances) == 0 {
		return Instance{}, false
	}
	in, ok := v.List()[c.Instances[0]]
	if !ok || in.State != keepalived.Master || sinceBoot()-in.SinceBoot < lateAddress {
		return in, ok
	}
	held, err := addresses()
	if err != nil {
		return in, true
	}
	if on, _ := vip.Of(c, held); len(on) == 0 {
		in.State = keepalived.Stopped
	}
	return in, true
}

// Presence is how many of an instance's addresses the kernel has.
type Presence int

const (
	PresenceUnknown Presence = iota // it cannot be told which addresses are the instance's
	NotHeld                         // none
	HeldInPart                      // some
	Held                            // all
)

// String returns the word for the status; "" if it is unknown.
func (p Presence) String() string { return [...]string{"", "not held", "held in part", "held"}[p] }

// Observed is an instance as the running keepalived reported it.
type Observed struct {
	Instance
	Doubt  string // the reason why only the instance's name is known; "": all fields are
	Kernel Presence
}

// Observe returns the node's instances as the running keepalived reported them, sorted by name. States that an earlier
// keepalived reported are doubted: a stale MASTER is worse than none. unit is keepalived's unit, or unitErr is the reason why
// it is not known.
func Observe(told map[string]Instance, vips []config.VIP, held []vip.Held, unit systemd.Unit, unitErr error) []Observed {
	names := slices.Collect(maps.Keys(told))
	for _, v := range vips {
		names = append(names, v.Instances...)
	}
	slices.Sort(names)
	var all []Observed
	for _, name := range slices.Compact(names) {
		o := Observed{Instance: Instance{Name: name}, Doubt: "keepalived has not reported a state", Kernel: inKernel(vips, name, held)}
		if i, ok := told[name]; ok {
			if o.Doubt = doubt(i, o.Kernel, unit, unitErr); o.Doubt == "" {
				o.Instance = i
			}
		}
		all = append(all, o)
	}
	return all
}

// doubt returns the reason why the reported state of an instance may no longer hold, or "".
func doubt(i Instance, kernel Presence, unit systemd.Unit, err error) string {
	switch {
	case err != nil:
		// Without systemd only the kernel can confirm it.
		if master := i.State == keepalived.Master; master == (kernel == Held) && kernel != PresenceUnknown {
			return ""
		}
		return "keepalived reported " + string(i.State) + ", which cannot be confirmed: " + err.Error()
	case !unit.Running() || unit.MainPID == 0:
		return "keepalived does not run"
	case i.SinceBoot < unit.StartedSinceBoot:
		return "keepalived was restarted and has not reported a state yet"
	}
	return ""
}

// inKernel returns how many of an instance's addresses the kernel has. If a VIP has one instance for each family, only
// keepalived.conf shows which addresses belong to which: then the result is unknown.
func inKernel(vips []config.VIP, name string, held []vip.Held) Presence {
	for _, v := range vips {
		if len(v.Instances) != 1 || v.Instances[0] != name {
			continue
		}
		switch on, missing := vip.Of(v, held); {
		case len(missing) == 0:
			return Held
		case len(on) == 0:
			return NotHeld
		}
		return HeldInPart
	}
	return PresenceUnknown
}
