// Package haproxy is what the project knows of a haproxy that runs: how its configuration is checked and read, and how its
// sockets are spoken to. How the configuration is written is in haproxycfg.
package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// maxAnswer bounds what is read of one answer of a socket.
const maxAnswer = 1 << 20

// Socket is one of haproxy's command line sockets: a path.
type Socket string

// Ask sends one command and returns the whole answer. It waits until ctx ends: give it a deadline.
func (s Socket) Ask(ctx context.Context, command string) (string, error) {
	// A line break or a semicolon would be a second command.
	if strings.ContainsAny(command, "\n;") {
		return "", fmt.Errorf("cannot ask haproxy %q: one command at a time", command)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", string(s))
	if err != nil {
		return "", fmt.Errorf("cannot reach haproxy: %w", err)
	}
	defer conn.Close()
	// A deadline in the past interrupts whatever waits.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", s.unanswered(ctx, command, err)
	}
	// A master goes on listening for commands until it is told that there are no more.
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", s.unanswered(ctx, command, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer+1))
	if err != nil {
		return "", s.unanswered(ctx, command, err)
	}
	if len(answer) > maxAnswer {
		return "", fmt.Errorf("cannot read haproxy's answer to %q over %s: it is longer than %d bytes", command, s, maxAnswer)
	}
	return string(answer), nil
}

func (s Socket) unanswered(ctx context.Context, command string, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("haproxy does not answer %q over %s: %w", command, s, err)
}
