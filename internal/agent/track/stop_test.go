package track

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/process"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/testing/eventually"

	"github.com/hapair/hapair/internal/testing/haproxytest"
)

// worker starts a process. The fake haproxy reports its ID as that of its worker.
func worker(t *testing.T, f *haproxytest.Worker) *os.Process {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	f.PID.Store(int64(cmd.Process.Pid))
	return cmd.Process
}

func TestStoppedHAProxyIsDetectedSoonerThanASilentOne(t *testing.T) {
	f := haproxytest.NewWorker(t)
	p := worker(t, f)
	tr := &Tracker{Socket: f.Path}
	conn, info, err := tr.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := tr.ask(conn, info.PID); err != nil {
		t.Fatal(err)
	}
	f.Silent.Store(true)
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, 10*time.Second, "the worker is stopped", func() bool { return process.Stopped(p.Pid) })
	if _, err := tr.ask(conn, info.PID); !errors.Is(err, errStopped) {
		t.Errorf("ask of a stopped haproxy: %v, want errStopped", err)
	}
	p.Signal(syscall.SIGCONT)
	eventually.True(t, 10*time.Second, "the worker continues", func() bool { return !process.Stopped(p.Pid) })
	start := time.Now()
	if _, err := tr.ask(conn, info.PID); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) < askTime {
		t.Errorf("ask of a silent haproxy: %v after %v, want a timeout after %v", err, time.Since(start), askTime)
	}
}

// An answer shortly before the time limit must count, because haproxy may only be slow on a busy machine.
func TestLateAnswerCounts(t *testing.T) {
	f := haproxytest.NewWorker(t)
	worker(t, f)
	f.Delay.Store(int64(askTime - 2*slice))
	tr := &Tracker{Socket: f.Path}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := haproxy.Socket(f.Path).Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if info, err := tr.ask(conn, int(f.PID.Load())); err != nil || info.PID != int(f.PID.Load()) {
		t.Errorf("ask with a late answer = %+v, %v", info, err)
	}
}

func TestStuckHAProxyIsRestartedOnce(t *testing.T) {
	restarts := 0
	done := make(chan bool, 10)
	tr := &Tracker{Mark: t.TempDir() + "/maintenance"}
	tr.Restart = func(ctx context.Context) { done <- true }
	for range 100 {
		tr.linger(t.Context(), errStopped, time.Second)
	}
	<-done
	select {
	case <-done:
		restarts++
	case <-time.After(50 * time.Millisecond):
	}
	if restarts != 0 {
		t.Error("haproxy was restarted twice")
	}
	// A dead haproxy is restarted by systemd, and a haproxy in maintenance by its operator.
	tr.stuck, tr.restarted = 0, false
	for range 100 {
		tr.linger(t.Context(), errors.New("connection refused"), time.Second)
	}
	if err := os.WriteFile(tr.Mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		tr.linger(t.Context(), errStopped, time.Second)
	}
	// a pause of the agent itself does not count
	os.Remove(tr.Mark)
	tr.linger(t.Context(), errStopped, time.Hour)
	if tr.restarted {
		t.Error("haproxy was restarted although it was dead, in maintenance, or the agent was paused")
	}
}
