// Package eventually waits in tests for a condition, with a deadline.
package eventually

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/poll"
)

// interval is the time between two attempts.
const interval = 10 * time.Millisecond

// Nil calls f until it returns nil. If it does not within limit, the test fails with f's last error and with the result of
// details, for example logs.
func Nil(t testing.TB, limit time.Duration, f func() error, details ...func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := poll.Nil(ctx, interval, f)
	if err == nil {
		return
	}
	var more strings.Builder
	for _, detail := range details {
		more.WriteString("\n" + detail())
	}
	t.Fatalf("after %v: %v%s", limit, err, more.String())
}

// True is like Nil for a boolean condition. what describes the condition, such as "the file exists".
func True(t testing.TB, limit time.Duration, what string, f func() bool, details ...func() string) {
	t.Helper()
	Nil(t, limit, func() error {
		if !f() {
			return fmt.Errorf("not so: %s", what)
		}
		return nil
	}, details...)
}
