// Package check answers keepalived's question whether this node may hold VIPs.
package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
)

// pause is the time between the two questions to haproxy. Right after a reload the old worker may still answer.
const pause = 20 * time.Millisecond

// ErrMaintenance is the reason of a node that holds no VIP on purpose.
var ErrMaintenance = errors.New("this node is in maintenance: `ha-agent maintenance off` ends it")

// Check returns the reason why this node may hold no VIP, or nil: the maintenance mark exists, or haproxy does not answer
// over its socket, or is stopping. It asks haproxy a second time before it fails, and takes no longer than timeout. If mark
// is empty, Check does not look for it.
func Check(socket, mark string, timeout time.Duration) error {
	start := time.Now()
	// Only an existing mark counts: a directory that cannot be read must not take the VIPs away from both nodes.
	if _, err := os.Lstat(mark); err == nil {
		return ErrMaintenance
	}
	if serving(socket, start.Add(timeout/2)) == nil {
		return nil
	}
	time.Sleep(min(pause, timeout/10))
	err := serving(socket, start.Add(timeout))
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("haproxy does not answer over %s within %v", socket, timeout)
	}
	return err
}

// serving returns the reason why haproxy does not serve, or nil.
func serving(socket string, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	info, err := haproxy.Socket(socket).ShowInfo(ctx)
	if err != nil {
		return err
	}
	if info.Stopping {
		return fmt.Errorf("haproxy is stopping: its worker %d accepts no new connections", info.PID)
	}
	return nil
}
