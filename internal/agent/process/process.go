// Package process watches processes that are not children of this one.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Exited returns a channel that is closed when a process has exited. It uses a pidfd, which refers to that process even if its
// ID is used again. close must be called.
func Exited(pid int) (<-chan struct{}, func(), error) {
	if pid <= 0 {
		return nil, nil, fmt.Errorf("there is no process %d", pid)
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd") // non-blocking, so that the runtime's poller waits for it
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	end := make(chan struct{})
	go func() {
		// Read waits for the end of the process. It returns an error if the file is closed before.
		if conn.Read(readable) == nil {
			close(end)
		}
	}()
	return end, func() { f.Close() }, nil
}

// readable reports whether a descriptor is readable now. A pidfd is readable after its process has exited.
func readable(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n > 0 && err == nil
}

// Stopped reports whether a process was stopped by a signal or a debugger, or has exited (proc_pid_stat(5)).
func Stopped(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	i := bytes.LastIndexByte(b, ')')
	return i >= 0 && i+2 < len(b) && bytes.IndexByte([]byte("TtZX"), b[i+2]) >= 0
}
