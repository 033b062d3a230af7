// Package labtest makes the lab convenient in tests: its functions end the test if they fail, and clean up at its end.
package labtest

import (
	"context"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/needs"
)

// Need puts a test into the lab tier. If the lab cannot run here, the test ends with the reason: see package needs.
func Need(t testing.TB) {
	t.Helper()
	needs.Lab(t)
	err := lab.Missing()
	needs.That(t, err == nil, "%v", err)
}

// Root returns a directory with a root of a release that has the packages. It is created once and cached. It must not be
// written to.
func Root(t testing.TB, release string, packages ...string) string {
	t.Helper()
	Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir, err := lab.Root(ctx, "", release, packages...)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Sandbox returns a sandbox of a release with haproxy, keepalived, cloud-init, nftables and systemd.
func Sandbox(t testing.TB, release string, options ...lab.SandboxOption) *lab.Sandbox {
	t.Helper()
	root := Root(t, release, lab.NodePackages()...)
	sb, err := lab.NewSandbox(t.Context(), root, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sb.Close(); err != nil {
			t.Error(err)
		}
	})
	return sb
}

// Lab returns an empty lab, which is closed at the end of the test.
func Lab(t testing.TB) *lab.Lab {
	t.Helper()
	Need(t)
	l, err := lab.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
