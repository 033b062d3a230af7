package agent

import (
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

// pauseMeter counts how long this process did not run though it could have: stopped, starved or with its whole machine
// asleep. What did not answer in such a time need not be at fault.
type pauseMeter struct {
	tick   time.Duration
	paused func(time.Duration)
}

// run measures until stop is closed.
func (m pauseMeter) run(stop <-chan struct{}) {
	t := time.NewTicker(m.tick)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		now := time.Now()
		if gap := now.Sub(last); gap > 3*m.tick {
			m.paused(gap - m.tick)
		}
		last = now
	}
}
