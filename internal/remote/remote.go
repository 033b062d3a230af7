// Package remote runs ha-agent on nodes with the ssh program of this machine: the user's configuration, keys, agents and jump
// hosts apply. The login must be root's, or be allowed to run "sudo -n ha-agent".
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/spec"
)

// Limits on a node's answer.
const (
	connectTime = 10 * time.Second // for a connection, as ssh measures it
	maxAnswer   = 16 << 20         // 10,000 services have 2 MiB of steps
	maxMessages = 64 << 10
	maxLine     = 1 << 20
)

// DefaultTimeout is the time limit for one command on a node, if a Login has none.
const DefaultTimeout = time.Minute

// Login is how to log in to nodes.
type Login struct {
	User   string // empty: ssh's own
	Config string // the file that ssh reads instead of its default configuration; empty: none
	// Timeout is the time limit for one command on a node. The default is DefaultTimeout.
	Timeout time.Duration
}

// Host is a node as ssh reaches it.
type Host struct {
	Name    string // for messages
	Address string // without a prefix length
}

// HostOf returns the host of a spec's node: its first address.
func HostOf(n *spec.Node) Host { return Host{n.Name, n.Addresses[0].Addr.String()} }

// Error is why a node gave no answer, and what the user can try.
type Error struct{ Why, Try string }

// Error returns why the node gave no answer, without the advice.
func (e *Error) Error() string { return e.Why }

// Run runs ha-agent on a node and decodes the JSON document that it prints into a value. Data for its standard input may be
// nil. An exit status of 1 with an answer is not an error: the answer says what is wrong. Other errors are *Error.
func (l *Login) Run(ctx context.Context, h Host, stdin io.Reader, into any, args ...string) error {
	stdout := &capped{max: maxAnswer}
	if err := l.run(ctx, h, stdin, stdout, args); err != nil {
		return err
	}
	if err := json.Unmarshal(stdout.buf.Bytes(), into); err != nil {
		return notExpected(h, args[0], err)
	}
	return nil
}

// Lines is like Run for commands that print one JSON document per line while they work. It calls each for each line that is
// not empty, in order. If each returns an error, the command ends, and Lines returns that error.
func (l *Login) Lines(ctx context.Context, h Host, stdin io.Reader, each func(json.RawMessage) error, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stdout := &lines{each: func(line []byte) (err error) {
		if !json.Valid(line) {
			err = notExpected(h, args[0], errors.New("a line is not JSON"))
		} else {
			err = each(line)
		}
		if err != nil {
			cancel() // the command may not write again, and would not end
		}
		return err
	}}
	err := l.run(ctx, h, stdin, stdout, args)
	if stdout.err != nil {
		return stdout.err
	}
	if err == nil && len(stdout.rest) > 0 {
		return notExpected(h, args[0], io.ErrUnexpectedEOF)
	}
	return err
}

func notExpected(h Host, command string, err error) error {
	return &Error{fmt.Sprintf("cannot use the answer of %s: the output of ha-agent %s is not the JSON that this version of bake expects: %v", h, command, err),
		"install the same version of ha-agent there"}
}

// answer is where a node's output goes.
type answer interface {
	io.Writer
	exceeded() bool // the output was longer than the limit
	empty() bool
}

func (l *Login) run(ctx context.Context, h Host, stdin io.Reader, stdout answer, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout())
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh", append(l.arguments(h), args...)...)
	stderr := &capped{max: maxMessages}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	// A master process of ssh's ControlPersist keeps running and keeps the output open.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	negative := cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitstatus.No && !stdout.empty()
	switch {
	case ctx.Err() != nil:
		return l.silent(ctx, h)
	case stdout.exceeded() || stderr.exceeded():
		return &Error{fmt.Sprintf("cannot use the answer of %s: it is longer than %d MiB", h, maxAnswer>>20), "look at the output of `sudo ha-agent " + args[0] + "` there"}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay) && !negative:
		return l.failed(err, h, args[0], stderr.buf.String())
	}
	return nil
}

// arguments returns the arguments of ssh up to the name of the agent's command.
func (l *Login) arguments(h Host) []string {
	args := []string{"-o", "BatchMode=yes", "-o", fmt.Sprintf("ConnectTimeout=%d", int(connectTime.Seconds()))}
	if l.Config != "" {
		args = append(args, "-F", l.Config)
	}
	if l.User != "" {
		args = append(args, "-l", l.User)
	}
	return append(args, "--", h.Address, "sudo", "-n", "ha-agent")
}

func (l *Login) timeout() time.Duration {
	if l.Timeout > 0 {
		return l.Timeout
	}
	return DefaultTimeout
}

// capped is a buffer with a size limit. A write beyond the limit fails, which ends the program that writes. It cannot embed
// bytes.Buffer, whose ReadFrom has no limit.
type capped struct {
	buf  bytes.Buffer
	max  int
	full bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.full = c.full || c.buf.Len()+len(p) > c.max; c.full {
		return 0, errors.New("full")
	}
	return c.buf.Write(p)
}

func (c *capped) exceeded() bool { return c.full }
func (c *capped) empty() bool    { return c.buf.Len() == 0 }

// lines calls a function for each line that is written to it. A line is at most maxLine bytes long, and all together
// maxAnswer bytes.
type lines struct {
	each  func([]byte) error
	rest  []byte // a line whose end has not been written yet
	total int
	full  bool
	err   error // of each
}

func (l *lines) Write(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	l.total += len(p)
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		l.rest = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if l.err = l.each(bytes.Clone(line)); l.err != nil {
			return 0, l.err
		}
	}
	if l.full = l.total > maxAnswer || len(l.rest) > maxLine; l.full {
		return 0, errors.New("full")
	}
	return len(p), nil
}

func (l *lines) exceeded() bool { return l.full }
func (l *lines) empty() bool    { return l.total == 0 }
