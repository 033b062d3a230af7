// Package haproxy tests and reads haproxy's configuration, and talks to a running haproxy over its sockets. Package haproxycfg
// writes the configuration.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// maxAnswer is the largest answer that is usually read, in bytes.
const maxAnswer = 1 << 20

// retry is the pause before another try to connect to a socket whose queue is full.
const retry = 5 * time.Millisecond

// Socket is the path of one of haproxy's runtime API sockets.
type Socket string

// Ask sends one command and returns the whole answer. It waits until ctx ends: give it a deadline. If that passes, the error
// wraps context.DeadlineExceeded.
func (s Socket) Ask(ctx context.Context, command string) (string, error) {
	return s.ask(ctx, command, maxAnswer)
}

// ask is like Ask, for an answer of at most so many bytes.
func (s Socket) ask(ctx context.Context, command string, most int64) (string, error) {
	// haproxy reads another command after a line break or a semicolon.
	if strings.ContainsAny(command, "\n;") {
		return "", fmt.Errorf("cannot ask haproxy %q: one command at a time", command)
	}
	conn, err := s.dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// A deadline in the past interrupts reads and writes.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", s.unanswered(ctx, command, err)
	}
	// A master waits for more commands until its client has closed this direction.
	if err := conn.CloseWrite(); err != nil {
		return "", s.unanswered(ctx, command, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, most+1))
	if err != nil {
		return "", s.unanswered(ctx, command, err)
	}
	if int64(len(answer)) > most {
		return "", fmt.Errorf("cannot read haproxy's answer to %q over %s: it is longer than %d bytes", command, s, most)
	}
	return string(answer), nil
}

func (s Socket) unanswered(ctx context.Context, command string, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("haproxy does not answer %q over %s: %w", command, s, err)
}

// dial connects to the socket. While the queue of a UNIX socket is full, connect(2) fails with EAGAIN, so dial tries again until
// ctx ends.
func (s Socket) dial(ctx context.Context) (*net.UnixConn, error) {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", string(s))
		if err == nil {
			return conn.(*net.UnixConn), nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			if errno := syscall.Errno(0); errors.As(err, &errno) {
				err = errno // without the path again
			}
			return nil, fmt.Errorf("cannot connect to %s: %w", s, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot connect to %s: the queue of the socket is full: %w", s, ctx.Err())
		case <-time.After(retry):
		}
	}
}
