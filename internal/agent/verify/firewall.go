package verify

import (
	"context"

	"github.com/hapair/hapair/internal/wellknown"
)

// firewall checks the kernel itself, because the unit stays active if another program flushes the ruleset.
func (m *Machine) firewall() step {
	return step{"hapair's firewall is loaded", func(ctx context.Context) (string, error) {
		r, err := m.Run(ctx, "nft", "list", "table", "inet", "hapair")
		if err != nil {
			return "", err
		}
		if r.Status != 0 {
			return "", not("systemctl restart "+wellknown.FirewallUnit, "nft reports: %s", lastLine(r.Lines()))
		}
		return "", nil
	}}
}
