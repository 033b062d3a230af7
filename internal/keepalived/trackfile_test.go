package keepalived

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestTrackFileThatIsAFIFOIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "haproxy.track")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- WriteTrackFile(path, "1\n") }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("writing blocks on the FIFO")
	}
	if b, err := os.ReadFile(path); string(b) != "1\n" {
		t.Errorf("the track file contains %q, %v; want 1", b, err)
	}
}
