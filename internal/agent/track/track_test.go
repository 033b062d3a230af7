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

func startTracker(t *testing.T, f *haproxytest.Worker) (tr *Tracker, text func() string, stop func()) {
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
	_, text, stop := startTracker(t, f)
	eventually.True(t, 10*time.Second, "haproxy answers", func() bool { return text() == "0\n" })
	f.Silent.Store(true)
	eventually.True(t, 10*time.Second, "haproxy is stuck", func() bool { return text() == "1\n" })
	f.Silent.Store(false)
	eventually.True(t, 10*time.Second, "haproxy answers again", func() bool { return text() == "0\n" })
	f.Stopping.Store(true)
	eventually.True(t, 10*time.Second, "haproxy stops", func() bool { return text() == "1\n" })
	stop()
	if text() != "0\n" {
		t.Errorf("after the end of the tracker, the track file contains %q, want 0", text())
	}
}

func TestTrackFileReportsDeadWorkerWithoutAsking(t *testing.T) {
	f := haproxytest.NewWorker(t)
	worker := exec.Command("sleep", "60")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	f.PID.Store(int64(worker.Process.Pid))
	_, text, _ := startTracker(t, f)
	eventually.True(t, 10*time.Second, "haproxy answers", func() bool { return text() == "0\n" })
	// The socket stays open but does not answer any more, so only the pidfd can report the end of the process.
	f.Silent.Store(true)
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	worker.Wait()
	eventually.True(t, 10*time.Second, "the worker died", func() bool { return text() == "1\n" })
}

func TestTrackFileReportsMaintenance(t *testing.T) {
	f := haproxytest.NewWorker(t)
	tr, text, stop := startTracker(t, f)
	eventually.True(t, 10*time.Second, "haproxy answers", func() bool { return text() == "0\n" })
	if err := os.WriteFile(tr.Mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, 10*time.Second, "maintenance", func() bool { tr.Look(); return text() == "1\n" })
	stop()
	if text() != "1\n" {
		t.Errorf("after the end of the tracker in maintenance, the track file contains %q, want 1", text())
	}
}

// If the tracker panics all the time, it must still update its file.
func TestPanickingTrackerWritesItsFile(t *testing.T) {
	f := haproxytest.NewWorker(t)
	dir := t.TempDir()
	tr := &Tracker{File: filepath.Join(dir, "track"), Socket: f.Path, Mark: filepath.Join(dir, "maintenance"), Log: slog.New(slog.DiscardHandler),
		Panics: &contain.Panics{}, Point: func(string) { panic("of the test") }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tr.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	text := func() string { b, _ := os.ReadFile(tr.File); return string(b) }
	eventually.True(t, 10*time.Second, "haproxy answers", func() bool { return text() == "0\n" })
	eventually.True(t, 10*time.Second, "the tracker panics", func() bool { return len(tr.Panics.List()) > 0 })
	f.Silent.Store(true)
	eventually.True(t, 10*time.Second, "haproxy is stuck", func() bool { return text() == "1\n" })
	f.Silent.Store(false)
	eventually.True(t, 10*time.Second, "haproxy answers again", func() bool { return text() == "0\n" })
	if got := tr.Panics.List(); len(got) != 1 || got[0].Part != Part {
		t.Errorf("reported panics: %+v", got)
	}
}
