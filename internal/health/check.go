package health

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// pause between the two times that haproxy is asked: right after a reload the old worker may still answer.
const pause = 20 * time.Millisecond

// ErrMaintenance says that this node was told to hold no VIP.
var ErrMaintenance = errors.New("this node is in maintenance: `ha-agent maintenance off` ends it")

// Check tells why this node may hold no VIP, or nil. It takes no longer than timeout. It asks twice before it says no.
// An empty mark stands for none.
func Check(socket, mark string, timeout time.Duration) error {
	start := time.Now()
	// Only a mark that is there says no: a directory that cannot be looked into must not take the VIPs off both nodes.
	if _, err := os.Lstat(mark); err == nil {
		return ErrMaintenance
	}
	err := serving(socket, start.Add(timeout/2))
	if err == nil {
		return nil
	}
	time.Sleep(min(pause, timeout/10))
	if again := serving(socket, start.Add(timeout)); again != nil {
		if errors.Is(again, os.ErrDeadlineExceeded) {
			return fmt.Errorf("haproxy does not answer over %s within %v", socket, timeout)
		}
		return again
	}
	return nil
}

// serving tells why haproxy does not serve, or nil.
func serving(socket string, deadline time.Time) error {
	info, err := Ask(socket, deadline)
	if err != nil {
		return err
	}
	if info.Stopping {
		return fmt.Errorf("haproxy is stopping: its worker %d takes no new connections", info.PID)
	}
	return nil
}
