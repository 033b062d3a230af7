// Package poll asks until something is so.
package poll

import (
	"context"
	"errors"
	"os"
	"time"
)

// Until asks done every interval until it says so, fails for good, or ctx ends; then it returns the last reason why not.
func Until(ctx context.Context, interval time.Duration, done func() (ok bool, err error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last error
	for {
		ok, err := done()
		if ok {
			return err
		}
		// What fails because the time is up tells less than what failed before.
		late := ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && (!late || last == nil) {
			last = err
		}
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return last
		case <-tick.C:
		}
	}
}
