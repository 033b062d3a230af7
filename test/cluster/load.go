package cluster

import (
	"context"
	"fmt"

	"github.com/hapair/hapair/internal/lab"
)

// Burn runs n programs that use all processor time of a host until stop is called. Each is a separate service, because the
// kernel divides processor time among services, not among processes (sched(7), autogroup).
func Burn(ctx context.Context, h *lab.Host, n int) (stop func(context.Context) error, err error) {
	const start = `for i in $(seq "$1"); do systemd-run --quiet --unit="burn-$i" sh -c 'while :; do :; done'; done`
	stop = func(ctx context.Context) error {
		_, err := h.Must(ctx, "systemctl", "stop", "burn-*.service")
		return err
	}
	if _, err := h.Must(ctx, "sh", "-euc", start, "sh", fmt.Sprint(n)); err != nil {
		_ = stop(ctx)
		return nil, err
	}
	return stop, nil
}
