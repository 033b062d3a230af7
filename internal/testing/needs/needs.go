// Package needs ends tests that lack something: skipped on a developer's machine, failed with CI=true.
package needs

import (
	"fmt"
	"os"
	"testing"
)

// That ends a test unless something is there; the format says what is missing.
func That(t testing.TB, there bool, format string, args ...any) {
	t.Helper()
	if there {
		return
	}
	missing := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatal("cannot test: " + missing)
	}
	t.Skip(missing)
}

// Root ends a test that a plain user cannot run.
func Root(t testing.TB) {
	t.Helper()
	That(t, os.Geteuid() == 0, "it needs root: make test runs it by sudo")
}
