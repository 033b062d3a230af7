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

// worker is a process that a fake haproxy answers as.
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

func TestAStoppedHAProxyIsKnownSoonerThanASilentOne(t *testing.T) {
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
	eventually.True(t, 10*time.Second, "it is stopped", func() bool { return process.Stopped(p.Pid) })
	if _, err := tr.ask(conn, info.PID); !errors.Is(err, errStopped) {
		t.Errorf("stopped: %v", err)
	}
	p.Signal(syscall.SIGCONT)
	eventually.True(t, 10*time.Second, "it goes on", func() bool { return !process.Stopped(p.Pid) })
	start := time.Now()
	if _, err := tr.ask(conn, info.PID); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) < askTime {
		t.Errorf("silent: %v after %v, want %v of silence", err, time.Since(start), askTime)
	}
}

// An answer that comes in the last slice is an answer: a busy machine is no stuck haproxy.
func TestALateAnswerIsAnAnswer(t *testing.T) {
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
		t.Errorf("%+v, %v", info, err)
	}
}

func TestAHAProxyThatStaysStuckIsRestartedOnce(t *testing.T) {
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
		t.Error("it was restarted twice")
	}
	// one that is dead is systemd's, and one in maintenance its operator's
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
	// a pause of this process is no time of silence
	os.Remove(tr.Mark)
	tr.linger(t.Context(), errStopped, time.Hour)
	if tr.restarted {
		t.Error("it was restarted for no reason")
	}
}
