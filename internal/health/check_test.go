package health

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// haproxy is a socket whose n-th connection is handled by serve.
func haproxy(t *testing.T, serve func(n int, c net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "check.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(n, c)
		}
	}()
	return path
}

func info(pid, stopping int) string {
	return fmt.Sprintf("Name: HAProxy\nVersion: 3.0.11\nPid: %d\nUptime_sec: 5\nStopping: %d\n\n", pid, stopping)
}

func answer(c net.Conn, s string) {
	bufio.NewReader(c).ReadString('\n')
	c.Write([]byte(s))
	c.Close()
}

const bound = 400 * time.Millisecond

func TestCheckSaysYesWhenHAProxyAnswers(t *testing.T) {
	path := haproxy(t, func(_ int, c net.Conn) { answer(c, info(7, 0)) })
	if err := Check(path, filepath.Join(t.TempDir(), "maintenance"), bound); err != nil {
		t.Fatal(err)
	}
}

func TestCheckAsksOnceMoreBeforeItSaysNo(t *testing.T) {
	var asked atomic.Int32
	old := haproxy(t, func(n int, c net.Conn) { asked.Add(1); answer(c, info(7, min(n, 1)^1)) })
	if err := Check(old, "/nonexistent", bound); err != nil || asked.Load() != 2 {
		t.Fatalf("asked %d times: %v; want yes from the new worker", asked.Load(), err)
	}
	asked.Store(0)
	leaving := haproxy(t, func(_ int, c net.Conn) { asked.Add(1); answer(c, info(7, 1)) })
	if err := Check(leaving, "/nonexistent", bound); err == nil || !strings.Contains(err.Error(), "stopping") || asked.Load() != 2 {
		t.Fatalf("asked %d times: %v; want that it is stopping", asked.Load(), err)
	}
}

func TestCheckIsBoundedWhateverHAProxyDoes(t *testing.T) {
	tests := map[string]string{
		"silent": haproxy(t, func(int, net.Conn) {}),
		"a byte at a time": haproxy(t, func(_ int, c net.Conn) {
			for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
				if _, err := c.Write([]byte("x")); err != nil {
					tick.Stop()
					return
				}
			}
		}),
		"endless": haproxy(t, func(_ int, c net.Conn) {
			for {
				if _, err := c.Write(make([]byte, 8192)); err != nil {
					return
				}
			}
		}),
		"closes at once":  haproxy(t, func(_ int, c net.Conn) { c.Close() }),
		"no info":         haproxy(t, func(_ int, c net.Conn) { answer(c, "Permission denied\n") }),
		"nobody listens":  "/nonexistent/check.sock",
		"a path too long": strings.Repeat("x", 200),
	}
	for name, path := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			err := Check(path, "/nonexistent", bound)
			if err == nil {
				t.Fatal("the check said yes")
			}
			if took := time.Since(start); took > bound+200*time.Millisecond {
				t.Fatalf("took %v of %v: %v", took, bound, err)
			}
		})
	}
}

func TestCheckSaysNoUnderMaintenance(t *testing.T) {
	path := haproxy(t, func(_ int, c net.Conn) { answer(c, info(7, 0)) })
	mark := filepath.Join(t.TempDir(), "maintenance")
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Check(path, mark, bound); !errors.Is(err, ErrMaintenance) {
		t.Fatalf("got %v, want maintenance", err)
	}
}

func TestConnAsksManyTimesOverOneConnection(t *testing.T) {
	var connections atomic.Int32
	path := haproxy(t, func(_ int, c net.Conn) {
		connections.Add(1)
		for s := bufio.NewScanner(c); s.Scan(); {
			if s.Text() == "prompt" {
				c.Write([]byte("\n> "))
			} else {
				c.Write([]byte(info(7, 0) + "> "))
			}
		}
	})
	deadline := time.Now().Add(5 * time.Second)
	c, err := Dial(path, deadline)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Interactive(deadline); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Begin(deadline); err != nil {
			t.Fatal(err)
		}
		// whoever gives up waiting can go on
		if _, err := c.Answer(time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		got, err := c.Answer(deadline)
		if want := (Info{PID: 7, Version: "3.0.11", Uptime: 5 * time.Second}); err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Fatalf("%d connections, want 1", n)
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add([]byte(info(7, 0)))
	f.Add([]byte("Pid: -1\nStopping: \n: \nUptime_sec: 99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseInfo(b)
		if err == nil && (got.PID <= 0 || got.Uptime < 0) {
			t.Fatalf("nonsense out of %q: %+v", b, got)
		}
	})
}
