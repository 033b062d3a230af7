package haproxy

import (
	"bufio"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answering is a socket that answers every command with the same bytes; nil keeps silent.
func answering(t *testing.T, answer func(command string) []byte) Socket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			if b := answer(strings.TrimSpace(line)); b != nil {
				c.Write(b)
				c.Close()
			} else {
				t.Cleanup(func() { c.Close() })
			}
		}
	}()
	return Socket(path)
}

func TestAskReturnsTheWholeAnswer(t *testing.T) {
	s := answering(t, func(c string) []byte { return []byte("you said " + c) })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got, err := s.Ask(ctx, "show proc")
	if err != nil || got != "you said show proc" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	s := answering(t, func(string) []byte { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Ask(ctx, "show proc"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want that the deadline passed", err)
	}
}

func TestAskRefusesASecondCommandAndAnEndlessAnswer(t *testing.T) {
	s := answering(t, func(string) []byte { return make([]byte, maxAnswer+2) })
	for _, command := range []string{"show info\nshutdown", "show info;reload"} {
		if _, err := s.Ask(t.Context(), command); err == nil {
			t.Errorf("%q was sent", command)
		}
	}
	if _, err := s.Ask(t.Context(), "show info"); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Fatalf("got %v, want that the answer is too long", err)
	}
}

func TestStartupLogsOfAnOldHAProxyAreNone(t *testing.T) {
	s := answering(t, func(string) []byte { return []byte("Unknown command: 'show', but maybe one of the following\n") })
	if logs, err := s.StartupLogs(t.Context()); err != nil || logs != "" {
		t.Fatalf("got %q, %v", logs, err)
	}
}
