package change

import (
	"cmp"
	"context"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/journal"
)

// Round waits until the files no longer change, and carries out the changes. It calls done for each change that has a verdict.
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
			first = err // this error decides when the files are tried again
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
