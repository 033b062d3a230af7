package status

import (
	"context"
	"os"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/wellknown"
)

// firewall returns the state of the unit that loads hapair's firewall; nil if the node has none. keepalived does not require
// the unit: if nft cannot load the table, for example because the kernel lacks a module, all nodes would lose their virtual
// IPs. Instead status and verify report the problem.
func (o *Observer) firewall(ctx context.Context) *control.Firewall {
	if _, err := os.Lstat(wellknown.FirewallRules); err != nil {
		return nil
	}
	f := &control.Firewall{Unit: wellknown.FirewallUnit}
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	if u, err := o.Units.Service(ctx, wellknown.FirewallUnit); err == nil {
		f.Active = u.Active
	}
	return f
}
