package recipe_test

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// inNetwork runs f on a separate thread in the network namespace of a process.
func inNetwork(t *testing.T, pid int, f func()) {
	t.Helper()
	inNetworkAt(t, fmt.Sprintf("/proc/%d/ns/net", pid), f)
}

// inNetworkAt runs f on a separate thread in the network namespace at a path.
func inNetworkAt(t *testing.T, path string, f func()) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	failed := make(chan error)
	go func() {
		defer close(failed)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		f()
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// from returns a dialer with a source address.
func from(source string) *net.Dialer {
	return &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))}
}
