// Package poll repeats an attempt until it succeeds.
package poll

import (
	"context"
	"errors"
	"os"
	"time"
)

// Until calls done until it returns true or an error without a retry, or ctx ends. Then it returns the last error. An attempt
// begins every interval. If attempts take longer than half of it, for example because they start programs on a busy machine,
// at least as much time passes between two attempts, so that what they wait for gets on.
func Until(ctx context.Context, interval time.Duration, done func() (ok bool, err error)) error {
	var last error
	for {
		began := time.Now()
		ok, err := done()
		if ok {
			return err
		}
		// An error because of the end of ctx says less than the error before it.
		late := ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && (!late || last == nil) {
			last = err
		}
		took := time.Since(began)
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return last
		case <-time.After(max(took, interval-took)):
		}
	}
}

// Nil calls f like Until, until it returns nil.
func Nil(ctx context.Context, interval time.Duration, f func() error) error {
	return Until(ctx, interval, func() (bool, error) {
		err := f()
		return err == nil, err
	})
}
