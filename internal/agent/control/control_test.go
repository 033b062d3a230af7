package control

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, handle Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, handle) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestAskReturnsTheResult(t *testing.T) {
	path := serve(t, func(_ context.Context, req Request) (any, error) {
		if req.Command != "status" {
			return nil, errors.New("cannot do that")
		}
		return Status{Node: "controller_1"}, nil
	})
	var s Status
	if err := Ask(t.Context(), path, Request{Command: "status"}, &s); err != nil || s.Node != "controller_1" {
		t.Fatalf("Ask = %+v, %v; want the status of controller_1", s, err)
	}
	if err := Ask(t.Context(), path, Request{Command: "dance"}, &s); err == nil || err.Error() != "cannot do that" {
		t.Fatalf("Ask returned %v, want the daemon's error", err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o660 {
		t.Errorf("the socket has mode %v, %v", fi.Mode(), err)
	}
}

func TestAskReportsThatNoDaemonAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	if err := Ask(t.Context(), path, Request{Command: "status"}, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("Ask without a socket: %v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Ask(ctx, path, Request{Command: "status"}, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("Ask of a daemon that does not answer: %v", err)
	}
}

func TestServeSurvivesInvalidRequests(t *testing.T) {
	path := serve(t, func(context.Context, Request) (any, error) { return "fine", nil })
	for _, nonsense := range []string{"", "\n", "{", "[]", strings.Repeat("[", 100000)} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(nonsense))
		c.Close()
	}
	var s string
	if err := Ask(t.Context(), path, Request{Command: "status"}, &s); err != nil || s != "fine" {
		t.Fatalf("Ask after an invalid request = %q, %v; want fine", s, err)
	}
}

func TestListenReplacesTheSocketOfADeadDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close()
	second, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}
