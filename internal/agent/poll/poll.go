// Package poll repeats an attempt until it succeeds.
package poll

import (
	"context"
	"errors"
	"os"
	"time"
)

// Until calls done every interval until it returns true or an error without a retry, or ctx ends. Then it returns the last
// error.
func Until(ctx context.Context, interval time.Duration, done func() (ok bool, err error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last error
	for {
		ok, err := done()
		if ok {
			return err
		}
		// An error because of the end of ctx says less than the error before it.
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
