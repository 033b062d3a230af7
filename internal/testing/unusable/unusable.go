// Package unusable replaces regular files by other types of files, for tests.
package unusable

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// Kinds create something at a path that is not a regular file of limited size.
var Kinds = map[string]func(path string) error{
	"a FIFO":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
	"a device":    func(p string) error { return os.Symlink("/dev/zero", p) },
	"a directory": func(p string) error { return os.Mkdir(p, 0o700) },
	"a socket": func(p string) error {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		return l.Close()
	},
	"too large": func(p string) error {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			return err
		}
		return os.Truncate(p, 1<<40)
	},
}

// Within fails the test if work takes so long that a read must be blocked.
func Within(t *testing.T, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("a read is blocked")
	}
}
