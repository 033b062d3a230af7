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

func TestAskGetsTheResult(t *testing.T) {
	path := serve(t, func(_ context.Context, req Request) (any, error) {
		if req.Command != "status" {
			return nil, errors.New("cannot do that")
		}
		return Status{Node: "controller_1"}, nil
	})
	var s Status
	if err := Ask(t.Context(), path, Request{Command: "status"}, &s); err != nil || s.Node != "controller_1" {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := Ask(t.Context(), path, Request{Command: "dance"}, &s); err == nil || err.Error() != "cannot do that" {
		t.Fatalf("got %v, want the daemon's own words", err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestAskSaysThatNoDaemonAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	if err := Ask(t.Context(), path, Request{Command: "status"}, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Ask(ctx, path, Request{Command: "status"}, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("silence: %v", err)
	}
}

func TestServeSurvivesNonsense(t *testing.T) {
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
		t.Fatalf("%q, %v", s, err)
	}
}

func TestListenTakesTheSocketOfADeadDaemon(t *testing.T) {
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
