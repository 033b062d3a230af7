package vrrp

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/testing/eventually"
)

// notify writes to a FIFO as keepalived does: opened for reading and writing, and without blocking.
func notify(t *testing.T, path, line string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStatesAreReadFromTheFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.fifo")
	v := &States{Path: path, Kept: path + ".json", Log: slog.New(slog.DiscardHandler), Now: time.Now, Moved: func() {}, Changed: func() {}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { v.Run(ctx); close(ended) }()
	exists := func() bool { _, err := os.Stat(path); return err == nil }
	eventually.True(t, 10*time.Second, "the FIFO exists", exists)
	if fi, err := os.Stat(path); err != nil || fi.Mode() != os.ModeNamedPipe|0o600 {
		t.Fatalf("the FIFO has mode %v, %v", fi.Mode(), err)
	}
	notify(t, path, `INSTANCE "VI_public" MASTER 100`)
	eventually.True(t, 10*time.Second, "MASTER", func() bool { return v.Map()["VI_public"] == keepalived.Master })
	notify(t, path, "nonsense")
	notify(t, path, `INSTANCE "VI_public" MASTER_RX_LOWER_PRI 100`)
	notify(t, path, `INSTANCE "VI_other" BACKUP 90`)
	eventually.True(t, 10*time.Second, "BACKUP", func() bool { return v.Map()["VI_other"] == keepalived.Backup })
	if v.Map()["VI_public"] != keepalived.Master {
		t.Errorf("states %v, want VI_public as MASTER", v.Map())
	}

	// keepalived removes a FIFO that it created, and creates another one when it starts.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, 10*time.Second, "there is another FIFO", exists)
	notify(t, path, `INSTANCE "VI_public" FAULT 100`)
	eventually.True(t, 10*time.Second, "FAULT", func() bool { return v.Map()["VI_public"] == keepalived.Fault })
	notify(t, path, `INSTANCE "VI_other" DELETED 90`)
	eventually.True(t, 10*time.Second, "VI_other is deleted", func() bool { _, ok := v.Map()["VI_other"]; return !ok })
	cancel()
	<-ended
}

func TestStatesWrittenBeforeAReaderStartsAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	notify(t, path, `INSTANCE "VI_public" BACKUP 100`)
	v := &States{Path: path, Kept: path + ".json", Log: slog.New(slog.DiscardHandler), Now: time.Now, Moved: func() {}, Changed: func() {}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { v.Run(ctx); close(ended) }()
	eventually.True(t, 10*time.Second, "BACKUP", func() bool { return v.Map()["VI_public"] == keepalived.Backup })
	cancel()
	<-ended
}

func TestPlausibleStatesOutliveTheAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vrrp.json")
	fresh := func() *States { return &States{Kept: path, Log: slog.New(slog.DiscardHandler), Now: time.Now} }
	first := fresh()
	first.take(keepalived.Event{Type: "INSTANCE", Name: "a", State: keepalived.Master, Priority: 100})
	first.take(keepalived.Event{Type: "INSTANCE", Name: "b", State: keepalived.Master, Priority: 100})
	first.keep()
	second := fresh()
	second.Recall(func(i Instance) bool { return i.Name == "a" })
	if got := second.Map(); len(got) != 1 || got["a"] != keepalived.Master {
		t.Fatalf("states after a restart: %v, want only that of a", got)
	}
	for _, damaged := range []string{"", "{", `{"a": {"name": "b", "state": "MASTER"}}`, `{"a": {"name": "a", "state": "KING"}}`} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		third := fresh()
		third.Recall(func(Instance) bool { return true })
		if got := third.Map(); len(got) != 0 {
			t.Errorf("states from the damaged file %q: %v, want none", damaged, got)
		}
	}
}

// The file is written exactly as the first versions wrote it.
func TestStatesOfOldAgentAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vrrp.json")
	text := `{"VI_public":{"name":"VI_public","state":"MASTER","priority":254,"since":"2026-01-02T03:04:05.6Z","since_boot":1234567890}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v := &States{Kept: path, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	v.Recall(func(Instance) bool { return true })
	want := Instance{Name: "VI_public", State: keepalived.Master, Priority: 254, Since: time.Date(2026, 1, 2, 3, 4, 5, 6e8, time.UTC), SinceBoot: 1234567890}
	if got := v.List()["VI_public"]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	v.keep()
	if b, err := os.ReadFile(path); err != nil || string(b) != text {
		t.Errorf("the file contains %s, %v; want %s", b, err, text)
	}
}
