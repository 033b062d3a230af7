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

// File is a descriptor that the runtime can wait for: a socket, a timer. One goroutine may read it at a time, one write.
type File struct {
	f    *os.File
	conn syscall.RawConn
}

// New takes over a descriptor that does not block (O_NONBLOCK).
func New(fd int, name string) (*File, error) {
	f := os.NewFile(uintptr(fd), name)
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{f, conn}, nil
}

// Close ends whatever waits, with os.ErrClosed.
func (f *File) Close() error { return f.f.Close() }

// SetDeadline is when a Read or Write that still waits ends with os.ErrDeadlineExceeded; never with the zero Time.
func (f *File) SetDeadline(t time.Time) error { return f.f.SetDeadline(t) }

// Read waits until there is something to read. At the end it returns io.EOF.
func (f *File) Read(b []byte) (int, error) {
	n, err := call(f.conn.Read, syscall.SYS_READ, b)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write writes all of b.
func (f *File) Write(b []byte) (int, error) {
	for done := 0; ; {
		n, err := call(f.conn.Write, syscall.SYS_WRITE, b[done:])
		if done += n; err != nil || done == len(b) {
			return done, err
		}
	}
}

// call makes a system call over and over again until it would not block.
func call(wait func(func(fd uintptr) bool) error, trap uintptr, b []byte) (int, error) {
	var n uintptr
	var errno syscall.Errno
	err := wait(func(fd uintptr) bool {
		n, _, errno = syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		return errno != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, errno
	}
	return int(n), nil
}
