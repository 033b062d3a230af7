// Package labtest makes the lab convenient in tests: what a test asks for is there or the test ends, and all is cleaned
// up after it.
package labtest

import (
	"context"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/needs"
)

// Need says that a test is of the lab tier. It ends the test if the lab cannot run here, and says what is missing: see package
// needs.
func Need(t testing.TB) {
	t.Helper()
	needs.Lab(t)
	err := lab.Missing()
	needs.That(t, err == nil, "%v", err)
}

// Root gives a directory with a root of the release that has the packages; it is made once and cached. Nobody may write
// to it.
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

// Sandbox gives a sandbox of the release with haproxy, keepalived, cloud-init, nftables and systemd in it.
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

// Lab gives an empty lab, which is closed with the test.
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
