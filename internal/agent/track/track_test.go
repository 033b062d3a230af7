package track

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/testing/eventually"
)

// fakeHAProxy answers as the worker pid, stopping or not at all.
type fakeHAProxy struct {
	path     string
	pid      atomic.Int64
	stopping atomic.Bool
	silent   atomic.Bool
	delay    atomic.Int64 // of an answer, in nanoseconds
}

func newFakeHAProxy(t *testing.T) *fakeHAProxy {
	t.Helper()
	f := &fakeHAProxy{path: filepath.Join(t.TempDir(), "check.sock")}
	f.pid.Store(int64(os.Getpid()))
	l, err := net.Listen("unix", f.path)
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
			go f.serve(c)
		}
	}()
	return f
}

func (f *fakeHAProxy) serve(c net.Conn) {
	defer c.Close()
	prompt := false
	for s := bufio.NewScanner(c); s.Scan(); {
		if f.silent.Load() {
			continue
		}
		if s.Text() == "prompt" {
			prompt = true
			fmt.Fprint(c, "\n> ")
			continue
		}
		if d := time.Duration(f.delay.Load()); d > 0 {
			<-time.After(d)
		}
		stopping := 0
		if f.stopping.Load() {
			stopping = 1
		}
		fmt.Fprintf(c, "Name: HAProxy\nPid: %d\nStopping: %d\n\n", f.pid.Load(), stopping)
		if !prompt {
			return
		}
		fmt.Fprint(c, "> ")
	}
}

func startTracker(t *testing.T, f *fakeHAProxy) (tr *Tracker, says func() string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	tr = &Tracker{File: filepath.Join(dir, "track"), Socket: f.path, Mark: filepath.Join(dir, "maintenance"), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tr.Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return tr, func() string { b, _ := os.ReadFile(tr.File); return string(b) }, stop
}

func TestTrackFileFollowsHAProxy(t *testing.T) {
	f := newFakeHAProxy(t)
	_, says, stop := startTracker(t, f)
	eventually.True(t, 10*time.Second, "it answers", func() bool { return says() == "0\n" })
	f.silent.Store(true)
	eventually.True(t, 10*time.Second, "it is stuck", func() bool { return says() == "1\n" })
	f.silent.Store(false)
	eventually.True(t, 10*time.Second, "it answers again", func() bool { return says() == "0\n" })
	f.stopping.Store(true)
	eventually.True(t, 10*time.Second, "it stops", func() bool { return says() == "1\n" })
	stop()
	if says() != "0\n" {
		t.Errorf("the tracker ended and the file says %q", says())
	}
}

func TestTrackFileSaysThatTheWorkerDiedWithoutAsking(t *testing.T) {
	f := newFakeHAProxy(t)
	worker := exec.Command("sleep", "60")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	f.pid.Store(int64(worker.Process.Pid))
	_, says, _ := startTracker(t, f)
	eventually.True(t, 10*time.Second, "it answers", func() bool { return says() == "0\n" })
	// The socket stays open, so only the pidfd can tell; nobody answers as the old worker any more.
	f.silent.Store(true)
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	worker.Wait()
	eventually.True(t, 10*time.Second, "it died", func() bool { return says() == "1\n" })
}

func TestTrackFileSaysMaintenance(t *testing.T) {
	f := newFakeHAProxy(t)
	tr, says, stop := startTracker(t, f)
	eventually.True(t, 10*time.Second, "it answers", func() bool { return says() == "0\n" })
	if err := os.WriteFile(tr.Mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, 10*time.Second, "maintenance", func() bool { tr.Look(); return says() == "1\n" })
	stop()
	if says() != "1\n" {
		t.Errorf("the tracker ended under maintenance and the file says %q", says())
	}
}

// However the tracker panics, its file does not stay as it was.
func TestATrackerThatPanics(t *testing.T) {
	f := newFakeHAProxy(t)
	dir := t.TempDir()
	tr := &Tracker{File: filepath.Join(dir, "track"), Socket: f.path, Mark: filepath.Join(dir, "maintenance"), Log: slog.New(slog.DiscardHandler),
		Panics: &contain.Panics{}, Point: func(string) { panic("it asks") }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tr.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	says := func() string { b, _ := os.ReadFile(tr.File); return string(b) }
	eventually.True(t, 10*time.Second, "it answers", func() bool { return says() == "0\n" })
	eventually.True(t, 10*time.Second, "the tracker panics", func() bool { return len(tr.Panics.List()) > 0 })
	f.silent.Store(true)
	eventually.True(t, 10*time.Second, "it is stuck", func() bool { return says() == "1\n" })
	f.silent.Store(false)
	eventually.True(t, 10*time.Second, "it answers again", func() bool { return says() == "0\n" })
	if got := tr.Panics.List(); len(got) != 1 || got[0].Part != Part {
		t.Errorf("the status has %+v", got)
	}
}
