package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Conn is a connection to one of haproxy's sockets that stays open for many `show info`. One goroutine may use it at a time.
type Conn struct {
	socket Socket
	conn   net.Conn
	part   []byte // the beginning of an answer whose end has not arrived
	buf    [4096]byte
}

// Dial opens a connection that stays open after an answer (haproxy's interactive mode). It waits until ctx ends: give it a
// deadline.
func (s Socket) Dial(ctx context.Context) (*Conn, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &Conn{socket: s, conn: conn}
	deadline, _ := ctx.Deadline()
	if err = c.command("prompt", deadline); err == nil {
		_, err = c.answer(deadline)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Begin sends `show info`. Answer returns the answer.
func (c *Conn) Begin(deadline time.Time) error { return c.command("show info", deadline) }

// Answer returns the answer to Begin. After os.ErrDeadlineExceeded it can be called again, to wait longer. After another
// error, or if the answer is no longer wanted, the connection must be closed: a late answer would be taken for the next one.
func (c *Conn) Answer(deadline time.Time) (Info, error) {
	answer, err := c.answer(deadline)
	if err != nil {
		return Info{}, err
	}
	return ParseInfo(string(answer))
}

func (c *Conn) command(command string, deadline time.Time) error {
	err := c.conn.SetWriteDeadline(deadline)
	if err == nil {
		_, err = io.WriteString(c.conn, command+"\n")
	}
	if err != nil {
		return fmt.Errorf("cannot ask haproxy %q over %s: %w", command, c.socket, err)
	}
	return nil
}

// answer reads until the prompt that ends an answer: "\n> ", or "> " alone.
func (c *Conn) answer(deadline time.Time) ([]byte, error) {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("cannot read haproxy's answer over %s: %w", c.socket, err)
	}
	for {
		n, err := c.conn.Read(c.buf[:])
		c.part = append(c.part, c.buf[:n]...)
		if answer := c.part; bytes.HasSuffix(answer, []byte("\n> ")) || string(answer) == "> " {
			c.part = c.part[:0]
			return answer, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("haproxy closed %s in the middle of an answer", c.socket)
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("cannot read haproxy's answer over %s: %w", c.socket, err)
		case err != nil:
			return nil, fmt.Errorf("haproxy does not answer over %s: %w", c.socket, err)
		case len(c.part) > maxAnswer:
			return nil, fmt.Errorf("cannot read haproxy's answer over %s: it is longer than %d bytes", c.socket, maxAnswer)
		}
	}
}
