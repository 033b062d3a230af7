package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/revision"
)

// Session is a program on a node that answers requests on its standard input, a line of JSON each, by a line of JSON. One
// connection serves all requests.
type Session struct {
	host  Host
	login *Login
	name  string // of the program, for messages
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	said  *capped

	mu sync.Mutex
}

// exitTime is how long ssh may take to exit after it has closed its output.
const exitTime = 2 * time.Second

// maxReply is the size limit of one answer, in bytes.
const maxReply = 64 << 20

// Open starts a program as root on a node. It reports a program that does not start at the first request.
func (l *Login) Open(h Host, program string, args ...string) (*Session, error) {
	// A connection that is cut must not look like a node that thinks.
	words := append([]string{"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2"}, l.arguments(h)...)
	words = append(words[:len(words)-1], program)
	s := &Session{host: h, login: l, name: strings.Join(args, " "), cmd: exec.Command("ssh", append(words, args...)...),
		said: &capped{max: maxMessages}}
	s.cmd.Stderr, s.cmd.WaitDelay = s.said, time.Second
	// An interrupt from the terminal is for bake alone, which ends the session in its own time.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.in, s.out = in, bufio.NewReaderSize(out, 64<<10)
	if err := s.cmd.Start(); err != nil {
		return nil, l.failed(err, h, s.name, "")
	}
	return s, nil
}

// Ask sends one request and decodes its answer. After an error the session is of no use any more.
func (s *Session) Ask(ctx context.Context, request, into any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = s.cmd.Process.Kill() })()
	b, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("cannot ask %s: %w", s.host, err)
	}
	if _, err := s.in.Write(append(b, '\n')); err != nil {
		return s.ended(ctx, err)
	}
	line, err := revision.ReadLine(s.out, maxReply)
	if err != nil {
		return s.ended(ctx, err)
	}
	if err := json.Unmarshal(line, into); err != nil {
		return notExpected(s.host, s.name, err)
	}
	return nil
}

// ended returns why the program has ended.
func (s *Session) ended(ctx context.Context, why error) error {
	s.in.Close()
	// One that has closed its output, and does not exit, is of no use.
	defer time.AfterFunc(exitTime, func() { _ = s.cmd.Process.Kill() }).Stop()
	err := s.cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return s.login.silent(ctx, s.host)
	case err == nil:
		return &Error{Why: fmt.Sprintf("cannot ask %s: its answer was cut off: %v", s.host, why)}
	}
	return s.login.failed(err, s.host, s.name, s.said.buf.String())
}

// Close ends the session.
func (s *Session) Close() {
	s.in.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Shell runs a shell script as root on a node, with data on its standard input.
func (l *Login) Shell(ctx context.Context, h Host, stdin io.Reader, script string) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout())
	defer cancel()
	words := l.arguments(h)
	// ssh joins the words, and the login's shell splits them again.
	words = append(words[:len(words)-1], "sh", "-c", "'"+strings.ReplaceAll(script, "'", `'\''`)+"'")
	cmd := exec.CommandContext(ctx, "ssh", words...)
	stdout, stderr := &capped{max: maxMessages}, &capped{max: maxMessages}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdin, stdout, stderr, time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return l.silent(ctx, h)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return l.failed(err, h, "sh", stderr.buf.String())
	}
	return nil
}
