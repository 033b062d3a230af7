package change

import (
	"cmp"
	"context"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/journal"
)

// Round waits until the files are left alone and carries out what has changed. Each change that has a verdict is handed to done.
func (c *Changer) Round(ctx context.Context, events <-chan struct{}, done func(journal.Change)) error {
	since := c.now()
	c.payDebts()
	changed, err := c.look()
	if err != nil || len(changed) == 0 {
		return err
	}
	changed, known, err := c.settle(ctx, events)
	if err != nil || len(changed) == 0 {
		return err
	}
	defer known.end()
	var first error
	for _, group := range c.groups(changed) {
		ch, err := c.change(ctx, group, known, since)
		if contain.IsPanic(err) {
			first = err // whatever else happened: it decides when the files are tried again
			continue
		}
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		done(ch)
	}
	return first
}
