package vrrp

import (
	"errors"
	"slices"

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
)

// Release removes the virtual IPs that a dead keepalived has left on this machine, and sends a priority-0 advertisement for
// each instance that held one: the peers take over after their skew time, instead of after three missing advertisements. runs
// is the configuration that keepalived ran on, and running finds a keepalived that may hold them.
func Release(c *config.Config, runs func() keepalived.File, running func() (pid int, err error)) ([]vip.Released, error) {
	released, err := vip.Releaser{VIPs: c.VIPs, ProcSys: "/proc/sys", Running: running}.Release()
	if len(released) == 0 {
		return nil, err
	}
	held, heldErr := vip.Addresses()
	if heldErr != nil {
		return released, errors.Join(err, heldErr)
	}
	for _, in := range runs().Instances {
		if gave(in, released) && len(vip.OfInstance(in, held)) == 0 {
			err = errors.Join(err, advert.Resign(in))
		}
	}
	return released, err
}

// gave reports whether one of an instance's addresses was removed.
func gave(in keepalived.Instance, released []vip.Released) bool {
	return slices.ContainsFunc(in.VIPs, func(v keepalived.VIP) bool {
		return slices.ContainsFunc(released, func(r vip.Released) bool {
			return r.Interface == v.Interface && r.Address.Addr() == v.Address.Addr()
		})
	})
}
