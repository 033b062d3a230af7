package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
)

// Only who stays MASTER for a while says so; who is it no more says that at once.
func TestTellHolder(t *testing.T) {
	track := filepath.Join(t.TempDir(), "haproxy.track")
	clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	v := &vrrp{track: track, log: slog.New(slog.DiscardHandler), now: func() time.Time { return clock }}
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
		v.tellHolder()
		if got, err := os.ReadFile(asked); string(got) != step.want {
			t.Errorf("%s for %v: the file says %q, want %q (%v)", step.state, step.after, got, step.want, err)
		}
		if _, err := os.Stat(other); err == nil {
			t.Fatal("a file was made that keepalived does not ask for")
		}
	}
}
