package vrrp

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
)

// The holder's file contains 1 only after the instance has been MASTER for a while, and 0 as soon as it is not MASTER any
// more.
func TestWriteHolderFiles(t *testing.T) {
	track := filepath.Join(t.TempDir(), "haproxy.track")
	clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	v := &States{Track: track, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return clock }}
	asked, other := keepalived.HolderFile(track, "VI_a"), keepalived.HolderFile(track, "VI_b")
	if err := os.WriteFile(asked, []byte("0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		state keepalived.State
		after time.Duration
		want  string
	}{
		{keepalived.Backup, time.Hour, "0\n"},
		{keepalived.Master, holderAfter / 2, "0\n"},
		{keepalived.Backup, holderAfter, "0\n"},
		{keepalived.Master, holderAfter, "1\n"},
		{keepalived.Fault, 0, "0\n"},
		{keepalived.Master, holderAfter, "1\n"},
		{keepalived.Stopped, 0, "0\n"},
	} {
		for _, name := range []string{"VI_a", "VI_b"} {
			v.take(keepalived.Event{Type: "INSTANCE", Name: name, State: step.state})
		}
		clock = clock.Add(step.after)
		v.WriteHolderFiles()
		if got, err := os.ReadFile(asked); string(got) != step.want {
			t.Errorf("%s for %v: the file contains %q, want %q (%v)", step.state, step.after, got, step.want, err)
		}
		if _, err := os.Stat(other); err == nil {
			t.Fatal("a holder's file was created although keepalived does not use it")
		}
	}
}

// With and without the daemon, only existing holder's files are changed, and the previous content is restored.
func TestWeakenIsUndone(t *testing.T) {
	for name, make := range map[string]func(v *States) func(map[string]string) error{
		"with the daemon":    func(v *States) func(map[string]string) error { return v.Weaken },
		"without the daemon": func(v *States) func(map[string]string) error { return Weakener(v.Track) },
	} {
		t.Run(name, func(t *testing.T) {
			track := filepath.Join(t.TempDir(), "haproxy.track")
			clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
			v := &States{Track: track, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return clock }}
			v.take(keepalived.Event{Type: "INSTANCE", Name: "VI_a", State: keepalived.Master})
			clock = clock.Add(holderAfter)
			file := keepalived.HolderFile(track, "VI_a")
			if err := os.WriteFile(file, []byte("1\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			weaken := make(v)
			for _, step := range []struct {
				words map[string]string
				want  string
			}{{map[string]string{"VI_a": "-84\n", "VI_b": "-84\n"}, "-84\n"}, {nil, "1\n"}, {nil, "1\n"}} {
				if err := weaken(step.words); err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(file); string(got) != step.want {
					t.Errorf("after %v, the file contains %q, want %q (%v)", step.words, got, step.want, err)
				}
			}
			if _, err := os.Stat(keepalived.HolderFile(track, "VI_b")); err == nil {
				t.Error("a holder's file was created although keepalived does not use it")
			}
		})
	}
}
