// Package health asks this node's haproxy whether it answers. It is what `ha-agent check` runs once a second, so it
// imports neither net nor anything that costs time when a program starts: a socket with time-outs of the kernel's is enough.
package health

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/hush"
)

// maxAnswer bounds what is read of one answer. `show info` of haproxy 3.2 has less than 4 KiB.
const maxAnswer = 64 << 10

// Info is what haproxy says of itself.
type Info struct {
	PID      int // of the worker that answered
	Version  string
	Uptime   time.Duration // of that worker, in whole seconds
	Stopping bool          // it finishes what it has and takes no new connection
}

// Ask asks haproxy over a stats socket for `show info`, until deadline.
func Ask(path string, deadline time.Time) (Info, error) {
	c, err := Dial(path, deadline)
	if err != nil {
		return Info{}, err
	}
	defer c.Close()
	if err := c.write([]byte("show info\n"), deadline); err != nil {
		return Info{}, err
	}
	answer, err := c.readAll(deadline)
	if err != nil {
		return Info{}, err
	}
	return ParseInfo(answer)
}

// ParseInfo reads the answer to `show info`: lines of "Name: value".
func ParseInfo(answer []byte) (Info, error) {
	var info Info
	for line := range bytes.Lines(answer) {
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		if !ok {
			continue
		}
		switch string(name) {
		case "Pid":
			info.PID, _ = strconv.Atoi(string(value))
		case "Version":
			info.Version = string(value)
		case "Uptime_sec":
			s, _ := strconv.ParseUint(string(value), 10, 31)
			info.Uptime = time.Duration(s) * time.Second
		case "Stopping":
			// haproxy 3.x tells how long it has been stopping, older ones 1.
			info.Stopping = string(value) != "0"
		}
	}
	if info.PID <= 0 {
		return Info{}, fmt.Errorf("haproxy gave an answer without a Pid: %q", head(answer, 80))
	}
	return info, nil
}

// head is the beginning of an answer, short enough for a message.
func head(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n]
	}
	return b
}

// Conn is a connection to one of haproxy's sockets. One goroutine may use it at a time.
type Conn struct {
	path string
	f    *hush.File
	part []byte // of an answer that has not come whole
	buf  [4096]byte
}

// Dial connects to a socket, until deadline.
func Dial(path string, deadline time.Time) (*Conn, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket: %w", err)
	}
	if err := connect(fd, path, deadline); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("cannot connect to %s: %w", path, err)
	}
	f, err := hush.New(fd, path)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", path, err)
	}
	return &Conn{path: path, f: f}, nil
}

// connect waits as long as a send may while the backlog is full (unix(7)). Then nothing blocks any more.
func connect(fd int, path string, deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		// A time-out of 0 would wait for ever.
		tv := syscall.NsecToTimeval(int64(max(left, time.Microsecond)))
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &tv); err != nil {
			return err
		}
		switch err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); {
		case errors.Is(err, syscall.EINTR): // by Go's own signals
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINPROGRESS):
			return os.ErrDeadlineExceeded
		case err != nil:
			return err
		default:
			return syscall.SetNonblock(fd, true)
		}
	}
}

// Close closes the connection.
func (c *Conn) Close() error { return c.f.Close() }

// Interactive makes haproxy keep the connection after an answer, and end each answer with a prompt.
func (c *Conn) Interactive(deadline time.Time) error {
	if err := c.write([]byte("prompt\n"), deadline); err != nil {
		return err
	}
	_, err := c.readPrompt(deadline)
	return err
}

// Begin asks for `show info` over a connection that is Interactive: Answer is what comes.
func (c *Conn) Begin(deadline time.Time) error {
	return c.write([]byte("show info\n"), deadline)
}

// Answer waits for what Begin has asked for. Where the deadline came first it can be called again, to wait longer. After
// another error, or when nobody waits any more, the connection must be closed: an answer that came too late would be taken
// for the next one.
func (c *Conn) Answer(deadline time.Time) (Info, error) {
	answer, err := c.readPrompt(deadline)
	if err != nil {
		return Info{}, err
	}
	return ParseInfo(answer)
}

func (c *Conn) write(b []byte, deadline time.Time) error {
	c.f.SetDeadline(deadline)
	if _, err := c.f.Write(b); err != nil {
		return fmt.Errorf("cannot ask haproxy over %s: %w", c.path, err)
	}
	return nil
}

// readAll reads until haproxy closes the connection.
func (c *Conn) readAll(deadline time.Time) ([]byte, error) {
	return c.read(deadline, func(_ []byte, eof bool) bool { return eof })
}

// readPrompt reads until the prompt that ends an interactive answer: "\n> ", or "> " alone.
func (c *Conn) readPrompt(deadline time.Time) ([]byte, error) {
	return c.read(deadline, func(b []byte, _ bool) bool {
		return bytes.HasSuffix(b, []byte("\n> ")) || string(b) == "> "
	})
}

// read reads until done says so.
func (c *Conn) read(deadline time.Time, done func(b []byte, eof bool) bool) ([]byte, error) {
	c.f.SetDeadline(deadline)
	for {
		n, err := c.f.Read(c.buf[:])
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("haproxy does not answer over %s: %w", c.path, err)
		}
		c.part = append(c.part, c.buf[:max(n, 0)]...)
		if answer := c.part; done(answer, n == 0) {
			c.part = c.part[:0]
			return answer, nil
		}
		if n == 0 {
			return nil, fmt.Errorf("haproxy closed %s in the middle of an answer", c.path)
		}
		if len(c.part) > maxAnswer {
			return nil, fmt.Errorf("haproxy's answer over %s is longer than %d bytes", c.path, maxAnswer)
		}
	}
}
