package systemd

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

func TestUnreachableBusIsDialedAgain(t *testing.T) {
	dials := 0
	b := New(func(context.Context) (*dbus.Conn, error) { dials++; return nil, errors.New("no bus") })
	for range 2 {
		err := b.Reload(t.Context(), "haproxy.service")
		if err == nil || err.Error() != "cannot reload haproxy.service: cannot reach systemd: no bus" {
			t.Fatalf("Reload without a bus: %v", err)
		}
	}
	if dials != 2 {
		t.Errorf("dialed %d times, want 2", dials)
	}
	b.Close()
}

func TestSilentBusEndsWithContext(t *testing.T) {
	ended := make(chan struct{})
	b := New(func(ctx context.Context) (*dbus.Conn, error) {
		<-ctx.Done() // the dial's context ends with the attempt
		close(ended)
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.Service(ctx, "haproxy.service"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Reload with a silent bus: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the dial continues after its attempt has ended")
	}
}

func TestUnitOfIgnoresUnexpectedTypes(t *testing.T) {
	u := unitOf(map[string]any{"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "MainPID": uint32(7),
		"ExecMainStartTimestamp": uint64(1_000_000)})
	if want := (Unit{"loaded", "active", "running", 7, time.Unix(1, 0), 0}); u != want || !u.Running() {
		t.Errorf("got %+v, want %+v", u, want)
	}
	u = unitOf(map[string]any{"ActiveState": 3, "MainPID": "7", "ExecMainStartTimestamp": uint64(5)})
	if u != (Unit{}) || u.Running() {
		t.Errorf("got %+v", u)
	}
}

func TestNotifyWritesOneLinePerAssignment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := (Notifier{}).Ready("a\nWATCHDOG=trigger"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := conn.Read(buf)
	if got := string(buf[:n]); err != nil || got != "READY=1\nSTATUS=a WATCHDOG=trigger" {
		t.Errorf("got %q, %v", got, err)
	}
	t.Setenv("WATCHDOG_USEC", "10000000")
	t.Setenv("WATCHDOG_PID", "")
	if d := (Notifier{}).WatchdogInterval(); d != 5*time.Second {
		t.Errorf("interval %v, want 5s", d)
	}
	t.Setenv("WATCHDOG_USEC", strings.Repeat("9", 40))
	if d := (Notifier{}).WatchdogInterval(); d != 0 {
		t.Errorf("an invalid value gives %v", d)
	}
}
