package track

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/testing/eventually"

	"github.com/hapair/hapair/internal/testing/haproxytest"
)

func startTracker(t *testing.T, f *haproxytest.Worker) (tr *Tracker, says func() string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	tr = &Tracker{File: filepath.Join(dir, "track"), Socket: f.Path, Mark: filepath.Join(dir, "maintenance"), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tr.Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return tr, func() string { b, _ := os.ReadFile(tr.File); return string(b) }, stop
}

func TestTrackFileFollowsHAProxy(t *testing.T) {
	f := haproxytest.NewWorker(t)
	_, says, stop := startTracker(t, f)
	eventually.True(t, 10*time.Second, "it answers", func() bool { return says() == "0\n" })
	f.Silent.Store(true)
	eventually.True(t, 10*time.Second, "it is stuck", func() bool { return says() == "1\n" })
	f.Silent.Store(false)
	eventually.True(t, 10*time.Second, "it answers again", func() bool { return says() == "0\n" })
	f.Stopping.Store(true)
	eventually.True(t, 10*time.Second, "it stops", func() bool { return says() == "1\n" })
	stop()
	if says() != "0\n" {
		t.Errorf("the tracker ended and the file says %q", says())
	}
}

func TestTrackFileSaysThatTheWorkerDiedWithoutAsking(t *testing.T) {
	f := haproxytest.NewWorker(t)
	worker := exec.Command("sleep", "60")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	f.PID.Store(int64(worker.Process.Pid))
	_, says, _ := startTracker(t, f)
	eventually.True(t, 10*time.Second, "it answers", func() bool { return says() == "0\n" })
	// The socket stays open, so only the pidfd can tell; nobody answers as the old worker any more.
	f.Silent.Store(true)
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	worker.Wait()
	eventually.True(t, 10*time.Second, "it died", func() bool { return says() == "1\n" })
}

func TestTrackFileSaysMaintenance(t *testing.T) {
	f := haproxytest.NewWorker(t)
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
	f := haproxytest.NewWorker(t)
	dir := t.TempDir()
	tr := &Tracker{File: filepath.Join(dir, "track"), Socket: f.Path, Mark: filepath.Join(dir, "maintenance"), Log: slog.New(slog.DiscardHandler),
		Panics: &contain.Panics{}, Point: func(string) { panic("it asks") }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tr.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	says := func() string { b, _ := os.ReadFile(tr.File); return string(b) }
	eventually.True(t, 10*time.Second, "it answers", func() bool { return says() == "0\n" })
	eventually.True(t, 10*time.Second, "the tracker panics", func() bool { return len(tr.Panics.List()) > 0 })
	f.Silent.Store(true)
	eventually.True(t, 10*time.Second, "it is stuck", func() bool { return says() == "1\n" })
	f.Silent.Store(false)
	eventually.True(t, 10*time.Second, "it answers again", func() bool { return says() == "0\n" })
	if got := tr.Panics.List(); len(got) != 1 || got[0].Part != Part {
		t.Errorf("the status has %+v", got)
	}
}
