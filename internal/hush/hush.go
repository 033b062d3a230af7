// Package hush reads and writes descriptors such that nobody but the goroutine which waits for them is woken up. Of any
// other system call Go's runtime tells its monitor, which then wakes up every 20 µs until all goroutines wait again
// (runtime.sysmon); what never blocks need not be told.
package hush

import (
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Of poll(2). golang.org/x/sys has them too, but would have to be initialised before a check (see package first).
const (
	pollIn  = 0x1
	pollOut = 0x4
)

type pollFd struct {
	fd     int32
	events int16
	_      int16 // revents: which events happened, unused
}

// soon is when an answer that has a deadline is there, as a rule: for so long the one processor for Go code is held, instead of
// setting a timer, for which the runtime would wake up even after the answer.
const soon = 2 * time.Millisecond

// File is a descriptor that the runtime can wait for: a socket, a timer. One goroutine may use it at a time; any may close it.
type File struct {
	f        *os.File
	conn     syscall.RawConn
	deadline time.Time
}

// New takes over a descriptor that does not block (O_NONBLOCK).
func New(fd int, name string) (*File, error) {
	f := os.NewFile(uintptr(fd), name)
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{f: f, conn: conn}, nil
}

// Close ends whatever waits, with an error.
func (f *File) Close() error { return f.f.Close() }

// SetDeadline is when each Read or Write from now on ends with os.ErrDeadlineExceeded; never with the zero Time.
func (f *File) SetDeadline(t time.Time) { f.deadline = t }

// Read waits until there is something to read. At the end it returns io.EOF.
func (f *File) Read(b []byte) (int, error) {
	n, err := f.call(f.conn.Read, syscall.SYS_READ, pollIn, b)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write writes all of b.
func (f *File) Write(b []byte) (int, error) {
	for done := 0; ; {
		n, err := f.call(f.conn.Write, syscall.SYS_WRITE, pollOut, b[done:])
		if done += n; err != nil || done == len(b) {
			return done, err
		}
	}
}

// call makes a system call over and over again until it would not block, until the deadline.
func (f *File) call(wait func(func(fd uintptr) bool) error, trap uintptr, event int16, b []byte) (int, error) {
	timed := !f.deadline.IsZero()
	if timed && time.Until(f.deadline) <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	var n uintptr
	var errno syscall.Errno
	try := func(fd uintptr) bool {
		n, _, errno = syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		return errno != syscall.EAGAIN
	}
	armed := false
	err := wait(func(fd uintptr) bool {
		if try(fd) {
			return true
		}
		if timed && !armed {
			if poll(fd, event, min(soon, time.Until(f.deadline))); try(fd) {
				return true
			}
			armed = true
			f.f.SetDeadline(f.deadline)
		}
		return false
	})
	if armed {
		f.f.SetDeadline(time.Time{})
	}
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, errno
	}
	return int(n), nil
}

// poll waits for an event of a descriptor, a signal, or the end of d.
func poll(fd uintptr, event int16, d time.Duration) {
	fds := [1]pollFd{{fd: int32(fd), events: event}}
	t := syscall.NsecToTimespec(int64(max(d, 0)))
	syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 1, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
}
