// Package validator runs the programs that judge what hapair writes: haproxy -c, keepalived -t. It is the one place of the
// daemons' packages that starts processes, so that a test can have them run elsewhere, in a chroot for instance.
package validator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Result is what became of a program that was started.
type Result struct {
	// Status is its exit status as a shell counts: 128 and the signal's number where a signal ended it.
	Status int
	// Output is its stdout and stderr, as they came, cut off after 64 KiB.
	Output string
	// TimedOut says that it was ended because its time was up.
	TimedOut bool
}

// Runner runs a program and waits for its end. An error means that it could not be started.
type Runner func(ctx context.Context, name string, args ...string) (Result, error)

// maxOutput bounds what is kept of a program's output: a broken file can make thousands of messages.
const maxOutput = 64 << 10

// Run is the Runner of this machine. The program gets no terminal, no input and the locale C; its whole process group
// is ended with ctx.
func Run(ctx context.Context, name string, args ...string) (Result, error) {
	out := &limited{max: maxOutput}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	r := Result{Output: out.buf.String(), TimedOut: ctx.Err() != nil}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return r, nil
	case errors.As(err, &exit):
		r.Status = status(exit)
		return r, nil
	case ctx.Err() != nil:
		return r, nil
	}
	return r, fmt.Errorf("cannot run %s: %w", name, err)
}

func status(exit *exec.ExitError) int {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

// Lines are the lines of the output that say something.
func (r Result) Lines() []string {
	var lines []string
	for line := range strings.Lines(r.Output) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// limited keeps the first max bytes and forgets the rest. It is no bytes.Buffer, whose ReadFrom would take all.
type limited struct {
	buf bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.buf.Len(); room > 0 {
		l.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
