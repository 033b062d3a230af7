package track

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/hush"
)

// pulse is a time.Ticker of the kernel's: for one of Go's the runtime's monitor wakes up as well (see package hush).
// stop must be called.
func pulse(every time.Duration) (<-chan struct{}, func(), error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a timer: %w", err)
	}
	each := unix.NsecToTimespec(int64(every))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: each, Value: each}, nil); err != nil {
		unix.Close(fd)
		return nil, nil, fmt.Errorf("cannot set a timer: %w", err)
	}
	f, err := hush.New(fd, "timerfd")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot wait for a timer: %w", err)
	}
	beats := make(chan struct{}, 1)
	go func() {
		for count := make([]byte, 8); ; {
			if _, err := f.Read(count); err != nil {
				return // it was closed
			}
			select {
			case beats <- struct{}{}:
			default:
			}
		}
	}()
	return beats, func() { f.Close() }, nil
}
