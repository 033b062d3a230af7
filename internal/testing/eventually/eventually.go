// Package eventually waits in tests for what takes a while, with a deadline.
package eventually

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/poll"
)

// interval is how often a condition is tried.
const interval = 10 * time.Millisecond

// Nil calls f until it returns nil. If it does not within limit, the test ends with f's last error, and what details
// return: logs, for instance.
func Nil(t testing.TB, limit time.Duration, f func() error, details ...func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := poll.Until(ctx, interval, func() (bool, error) {
		err := f()
		return err == nil, err
	})
	if err == nil {
		return
	}
	var more strings.Builder
	for _, detail := range details {
		more.WriteString("\n" + detail())
	}
	t.Fatalf("after %v: %v%s", limit, err, more.String())
}

// True is Nil for a condition; what names it: "the file is there".
func True(t testing.TB, limit time.Duration, what string, f func() bool, details ...func() string) {
	t.Helper()
	Nil(t, limit, func() error {
		if !f() {
			return fmt.Errorf("not so: %s", what)
		}
		return nil
	}, details...)
}
