package hush

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair are two ends of a connection.
func pair(t *testing.T) (a, b *File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*File
	for i, fd := range fds {
		f, err := New(fd, "socket")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		ends[i] = f
	}
	return ends[0], ends[1]
}

// Whatever comes soon, late, never or in pieces: a read ends as it should.
func TestRead(t *testing.T) {
	a, b := pair(t)
	for name, after := range map[string]time.Duration{"at once": 0, "late": 10 * soon} {
		for _, deadline := range []time.Time{{}, time.Now().Add(time.Minute)} {
			time.AfterFunc(after, func() { b.Write([]byte("word")) })
			a.SetDeadline(deadline)
			buf := make([]byte, 10)
			if n, err := a.Read(buf); string(buf[:n]) != "word" || err != nil {
				t.Errorf("%s: %q, %v", name, buf[:n], err)
			}
		}
	}
	for _, after := range []time.Duration{-time.Second, soon / 2, 10 * soon} {
		start := time.Now()
		a.SetDeadline(start.Add(after))
		if _, err := a.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) < after {
			t.Errorf("silence until %v: %v after %v", after, err, time.Since(start))
		}
	}
	a.SetDeadline(time.Time{})
	time.AfterFunc(10*soon, func() { b.Close() }) // the deadlines before are over
	if _, err := a.Read(make([]byte, 10)); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
}

func TestCloseEndsARead(t *testing.T) {
	a, _ := pair(t)
	time.AfterFunc(10*soon, func() { a.Close() })
	if _, err := a.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// A write of more than the kernel takes at once is written as the other end reads, or ends at its deadline.
func TestWrite(t *testing.T) {
	a, b := pair(t)
	long := make([]byte, 4<<20)
	a.SetDeadline(time.Now().Add(10 * soon))
	done, err := a.Write(long)
	if !errors.Is(err, os.ErrDeadlineExceeded) || done == 0 || done == len(long) {
		t.Fatalf("wrote %d, %v", done, err)
	}
	a.SetDeadline(time.Time{})
	written := make(chan error)
	go func() { _, err := a.Write(long); written <- err }()
	if n, err := io.CopyN(io.Discard, b, int64(done+len(long))); err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	b.Close()
	if _, err := a.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("to nobody: %v", err)
	}
}
