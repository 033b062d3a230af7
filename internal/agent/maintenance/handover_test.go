package maintenance

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hapair/hapair/internal/keepalived"
)

func TestWeakening(t *testing.T) {
	track := filepath.Join(t.TempDir(), "haproxy.track")
	file := keepalived.HolderFile(track, "VI_a")
	conf := func(weight, used string) keepalived.File {
		return keepalived.Read([]byte("track_file h {\nfile " + file + "\n" + weight + "\n}\nvrrp_instance VI_a {\ntrack_file {\n" + used + "\n}\n}\n"))
	}
	if got := weakening(conf("weight 3", "h"), track); len(got) > 0 {
		t.Errorf("without the file, the words are %v, want none", got)
	}
	if err := os.WriteFile(file, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ weight, used, want string }{
		{"weight 3", "h", "-84\n"}, {"weight 2", "h", "-126\n"}, {"weight 253", "h", "-1\n"}, {"", "h", "-253\n"}, // -254 would cause FAULT
		{"weight 0", "h", ""}, {"weight -3", "h", ""}, {"weight 254", "h", ""}, {"weight 3", "other", ""},
	} {
		if got := weakening(conf(tt.weight, tt.used), track)["VI_a"]; got != tt.want {
			t.Errorf("with %q, and used as %s: %q, want %q", tt.weight, tt.used, got, tt.want)
		}
	}
}
