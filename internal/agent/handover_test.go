package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
)

func TestWeakening(t *testing.T) {
	track := filepath.Join(t.TempDir(), "haproxy.track")
	file := keepalived.HolderFile(track, "VI_a")
	conf := func(weight, used string) keepalived.File {
		return keepalived.Read([]byte("track_file h {\nfile " + file + "\n" + weight + "\n}\nvrrp_instance VI_a {\ntrack_file {\n" + used + "\n}\n}\n"))
	}
	if got := weakening(conf("weight 3", "h"), track); len(got) > 0 {
		t.Errorf("without the file: %v", got)
	}
	if err := os.WriteFile(file, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ weight, used, want string }{
		{"weight 3", "h", "-84\n"}, {"weight 2", "h", "-126\n"}, {"weight 253", "h", "-1\n"}, {"", "h", "-253\n"}, // -254 would be FAULT
		{"weight 0", "h", ""}, {"weight -3", "h", ""}, {"weight 254", "h", ""}, {"weight 3", "other", ""},
	} {
		if got := weakening(conf(tt.weight, tt.used), track)["VI_a"]; got != tt.want {
			t.Errorf("%q, uses %s: %q, want %q", tt.weight, tt.used, got, tt.want)
		}
	}
}

// Both ways to weaken leave a holder's file that is not there alone, and take back what they said.
func TestWeakenAndBack(t *testing.T) {
	for name, make := range map[string]func(v *vrrp) func(map[string]string) error{
		"with the daemon":    func(v *vrrp) func(map[string]string) error { return v.weaken },
		"without the daemon": func(v *vrrp) func(map[string]string) error { return weakener(v.track) },
	} {
		t.Run(name, func(t *testing.T) {
			track := filepath.Join(t.TempDir(), "haproxy.track")
			clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
			v := &vrrp{track: track, log: slog.New(slog.DiscardHandler), now: func() time.Time { return clock }}
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
					t.Errorf("after %v the file says %q, want %q (%v)", step.words, got, step.want, err)
				}
			}
			if _, err := os.Stat(keepalived.HolderFile(track, "VI_b")); err == nil {
				t.Error("a file was made that keepalived does not ask for")
			}
		})
	}
}
