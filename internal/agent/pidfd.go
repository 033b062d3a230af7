package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// exited gives a channel that is closed when a process has ended. A pidfd means that process for ever, even when its
// number is another's. close must be called.
func exited(pid int) (<-chan struct{}, func(), error) {
	if pid <= 0 {
		return nil, nil, fmt.Errorf("there is no process %d", pid)
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	stopR, stopW, err := os.Pipe()
	if err != nil {
		unix.Close(fd)
		return nil, nil, fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	ended := make(chan struct{})
	go func() {
		defer unix.Close(fd)
		defer stopR.Close()
		// The pipe's other end closes when nobody wants to know any more.
		if waitReadable(fd, int(stopR.Fd())) {
			close(ended)
		}
	}()
	return ended, func() { stopW.Close() }, nil
}

// waitReadable waits until one of two descriptors is readable, or ended, and tells whether it is the first.
func waitReadable(first, second int) bool {
	fds := []unix.PollFd{{Fd: int32(first), Events: unix.POLLIN}, {Fd: int32(second), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false
		}
		if fds[0].Revents != 0 {
			return true
		}
		if fds[1].Revents != 0 {
			return false
		}
	}
}

// What waitFor has seen.
type seen int

const (
	timeIsUp seen = iota
	ctxEnded
	workerEnded
)

// waitFor waits until a process has ended, wake is readable, or the time is up. It is one system call and no timer of the
// Go runtime, which would wake up two more threads.
func waitFor(wake, pidfd int, d time.Duration) seen {
	fds := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
	end := time.Now().Add(d)
	for {
		_, err := unix.Poll(fds, int(max(time.Until(end), 0).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case fds[0].Revents != 0:
			return ctxEnded
		case fds[1].Revents != 0:
			return workerEnded
		}
		return timeIsUp
	}
}

// stopped tells whether a process was stopped by a signal or a debugger, or is no more (proc_pid_stat(5)).
func stopped(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	i := bytes.LastIndexByte(b, ')')
	return i >= 0 && i+2 < len(b) && bytes.IndexByte([]byte("TtZX"), b[i+2]) >= 0
}
