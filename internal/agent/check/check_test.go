package check

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/haproxytest"
)

const limit = 400 * time.Millisecond

func TestCheckSucceedsIfHAProxyAnswers(t *testing.T) {
	w := haproxytest.NewWorker(t)
	if err := Check(w.Path, filepath.Join(t.TempDir(), "maintenance"), limit); err != nil {
		t.Fatal(err)
	}
}

func TestCheckAsksAgainBeforeItFails(t *testing.T) {
	var asked atomic.Int32
	info := func(stopping int) func(string) string {
		return func(string) string { asked.Add(1); return haproxytest.Info(7, stopping) }
	}
	reloaded := haproxytest.Serve(t, func(n int, c net.Conn) { haproxytest.Answer(c, info(min(n, 1)^1)) })
	if err := Check(reloaded, "", limit); err != nil || asked.Load() != 2 {
		t.Errorf("the old worker answered before the new one: %v after %d questions, want success after 2", err, asked.Load())
	}
	asked.Store(0)
	stopping := haproxytest.Answering(t, info(1))
	if err := Check(stopping, "", limit); err == nil || !strings.Contains(err.Error(), "stopping") || asked.Load() != 2 {
		t.Errorf("haproxy is stopping: %v after %d questions, want an error after 2", err, asked.Load())
	}
}

// full returns the path of a socket whose queue of connections is full.
func full(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for { // unix(7): connect fails with EAGAIN if the queue is full
		c, err := net.Dial("unix", path)
		if err != nil {
			return path
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestCheckKeepsItsTimeLimit(t *testing.T) {
	tests := map[string]string{
		"silent": haproxytest.Serve(t, func(int, net.Conn) {}),
		"a byte at a time": haproxytest.Serve(t, func(_ int, c net.Conn) {
			for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
				if _, err := c.Write([]byte("x")); err != nil {
					tick.Stop()
					return
				}
			}
		}),
		"an endless answer": haproxytest.Serve(t, func(_ int, c net.Conn) {
			for {
				if _, err := c.Write(make([]byte, 8192)); err != nil {
					return
				}
			}
		}),
		"closes at once":             haproxytest.Serve(t, func(_ int, c net.Conn) { c.Close() }),
		"an answer without info":     haproxytest.Answering(t, func(string) string { return "Permission denied\n" }),
		"a socket that is not there": "/nonexistent/check.sock",
		"a path that is too long":    strings.Repeat("x", 200),
		"a full queue":               full(t),
	}
	for name, path := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			err := Check(path, "", limit)
			if err == nil {
				t.Fatal("the check succeeded")
			}
			if took := time.Since(start); took > limit+200*time.Millisecond {
				t.Fatalf("took %v, want at most %v: %v", took, limit, err)
			}
		})
	}
}

func TestCheckFailsDuringMaintenance(t *testing.T) {
	w := haproxytest.NewWorker(t)
	mark := filepath.Join(t.TempDir(), "maintenance")
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Check(w.Path, mark, limit); !errors.Is(err, ErrMaintenance) {
		t.Fatalf("Check = %v, want %v", err, ErrMaintenance)
	}
}
