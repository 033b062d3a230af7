// Command ha-agent keeps the daemons of a load balancer running with the configuration on the disk, and answers keepalived's
// check whether this node may hold a virtual IP.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// keepalived runs "ha-agent check" once a second. This package answers it in its init, before the daemon's packages are
	// initialised, and exits: main does not run. Beside 300 processes such a check takes 3.4 ms of a processor, one by main
	// 6.2 ms, and killall -0 haproxy 7.7 ms (median of 150 each in turn, on a busy machine).
	_ "github.com/hapair/hapair/cmd/ha-agent/first"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
