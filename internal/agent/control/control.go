// Package control is the control socket of a running ha-agent. A connection carries one request and one answer, each a JSON
// object. Only root and root's group may connect.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Request is a client's request.
type Request struct {
	Command     string              `json:"command"` // status, maintenance, apply, server
	Server      *ServerRequest      `json:"server,omitempty"`
	Maintenance *MaintenanceRequest `json:"maintenance,omitempty"`
	Apply       *ApplyRequest       `json:"apply,omitempty"`
}

// response is the daemon's answer.
type response struct {
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// Limits of both sides.
const (
	maxRequest = 128 << 20 // apply sends whole files, in base64
	maxAnswer  = 4 << 20
	idle       = 5 * time.Second // a client that sends nothing for this long is disconnected
)

// ErrNoDaemon reports that the daemon does not answer.
var ErrNoDaemon = errors.New("the agent's daemon does not answer: `systemctl status ha-agent` shows why")

// Ask sends one request and decodes its result.
func Ask(ctx context.Context, path string, req Request, result any) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("cannot ask the agent's daemon: only root may: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%w (%v)", ErrNoDaemon, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return fmt.Errorf("%w (%v)", ErrNoDaemon, err)
	}
	var resp response
	if err := json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&resp); err != nil {
		return fmt.Errorf("%w (%v)", ErrNoDaemon, err)
	}
	if resp.Error != "" {
		return errors.New(resp.Error)
	}
	if err := json.Unmarshal(resp.Result, result); err != nil {
		return fmt.Errorf("cannot read the daemon's answer: %w", err)
	}
	return nil
}

// Handler answers a request.
type Handler func(ctx context.Context, req Request) (any, error)

// Listen creates the socket, and replaces one that a dead daemon left.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot make the control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot make the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot make the control socket: %w", err)
	}
	return l, nil
}

// Serve answers until ctx ends; it closes the listener. It answers at most eight clients at once.
func Serve(ctx context.Context, l net.Listener, handle Handler) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	slots := make(chan struct{}, 8)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot go on answering on the control socket: %w", err)
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			defer conn.Close()
			answer(ctx, conn, handle)
		}()
	}
}

func answer(ctx context.Context, conn net.Conn, handle Handler) {
	conn.SetDeadline(time.Now().Add(idle))
	var req Request
	var resp response
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&req); err != nil {
		resp.Error = fmt.Sprintf("cannot read the request: %v", err)
	} else if result, err := handle(ctx, req); err != nil {
		resp.Error = err.Error()
	} else if resp.Result, err = json.Marshal(result); err != nil {
		resp.Error = fmt.Sprintf("cannot write the answer: %v", err)
	}
	conn.SetDeadline(time.Now().Add(idle))
	json.NewEncoder(conn).Encode(resp) // the client may have disconnected
}
