package haproxy

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/haproxytest"
)

func TestAskReturnsTheWholeAnswer(t *testing.T) {
	s := Socket(haproxytest.Answering(t, func(c string) string { return "you said " + c }))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got, err := s.Ask(ctx, "show proc")
	if err != nil || got != "you said show proc" {
		t.Fatalf("Ask = %q, %v", got, err)
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	s := Socket(haproxytest.Serve(t, func(int, net.Conn) {}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Ask(ctx, "show proc"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Ask = %v, want a timeout", err)
	}
}

func TestAskRefusesASecondCommandAndAnEndlessAnswer(t *testing.T) {
	s := Socket(haproxytest.Answering(t, func(string) string { return strings.Repeat("x", maxAnswer+2) }))
	for _, command := range []string{"show info\nshutdown", "show info;reload"} {
		if _, err := s.Ask(t.Context(), command); err == nil {
			t.Errorf("Ask sent %q", command)
		}
	}
	if _, err := s.Ask(t.Context(), "show info"); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Fatalf("Ask = %v, want that the answer is too long", err)
	}
}

func TestOldHAProxyHasNoStartupLogs(t *testing.T) {
	s := Socket(haproxytest.Answering(t, func(string) string { return "Unknown command: 'show', but maybe one of the following\n" }))
	if logs, err := s.StartupLogs(t.Context()); err != nil || logs != "" {
		t.Fatalf("startup logs of an old haproxy: %q, %v; want none", logs, err)
	}
}
