// Package validator runs the programs that test configuration files: haproxy -c, keepalived -t. The packages of the daemons
// start processes only through it, so that a test can run the programs elsewhere, for example in a chroot.
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

// Result is the result of a program that was started.
type Result struct {
	// Status is its exit status. As in a shell, it is 128 plus the signal's number if a signal ended the program.
	Status int
	// Output is its stdout and stderr, in the order in which they were written, limited to 64 KiB.
	Output string
	// TimedOut reports whether it was killed because its time was over.
	TimedOut bool
}

// Runner runs a program and waits until it exits. An error means that it could not be started.
type Runner func(ctx context.Context, name string, args ...string) (Result, error)

// maxOutput is the maximum number of bytes of a program's output that are kept, because a broken file can cause thousands of
// messages.
const maxOutput = 64 << 10

// Run is the Runner for this machine. The program gets no terminal, no input and the locale C. At the end of ctx its whole
// process group is killed.
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

// Lines returns the lines of the output that are not empty.
func (r Result) Lines() []string {
	var lines []string
	for line := range strings.Lines(r.Output) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// limited keeps the first max bytes and drops the rest. It does not embed bytes.Buffer, whose ReadFrom would read everything.
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
