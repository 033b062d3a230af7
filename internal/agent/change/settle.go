package change

import (
	"context"
	"time"
)

// How long files are left alone before they are looked at.
const (
	quiet     = 100 * time.Millisecond // without an event
	longest   = time.Second            // from the first event, however many more come
	sameAfter = 20 * time.Millisecond  // between two looks that must see the same bytes
)

// settle waits until nothing has happened for a while. It returns false where ctx ends before.
func settle(ctx context.Context, events <-chan struct{}) bool {
	end := time.NewTimer(longest)
	defer end.Stop()
	calm := time.NewTimer(quiet)
	defer calm.Stop()
	for {
		select {
		case <-events:
			calm.Reset(quiet)
		case <-calm.C:
			return true
		case <-end.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// settled looks at the targets until two looks see the same, for as long as an event may put it off.
func settled(ctx context.Context, look func() ([]pending, error)) ([]pending, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	last, err := look()
	if err != nil || len(last) == 0 {
		return nil, err
	}
	for {
		select {
		case <-ctx.Done():
			return last, nil
		case <-time.After(sameAfter):
		}
		now, err := look()
		if err != nil {
			return nil, err
		}
		if same(last, now) {
			return now, nil
		}
		last = now
	}
}

func same(a, b []pending) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name() != b[i].Name() || a[i].digest() != b[i].digest() {
			return false
		}
	}
	return true
}
