package lab

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed space.sh
var spaceScript string

// space is a set of namespaces (mount, PID, UTS, IPC and usually net) held open by one process, its init. The init waits for
// the end of its standard input. However this process ends, the pipe is closed and the init exits. Then the kernel kills all
// other processes in the PID namespace, and removes mounts and network.
type space struct {
	pid   int      // of the init, outside its namespace
	enter []string // nsenter's flags
	stdin io.Closer
	done  chan struct{} // closed when the init's parent has exited
}

type spaceOptions struct {
	hostNetwork bool
	cgroup      string // a separate cgroup for the space, with a cgroup namespace; empty means none
}

// newSpace creates namespaces. They exist until close, or until this process ends.
func newSpace(ctx context.Context, o spaceOptions) (*space, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("cannot make namespaces: root is required; use sudo")
	}
	s := &space{enter: []string{"-m", "-p", "-u", "-i"}, done: make(chan struct{})}
	network := ""
	if !o.hostNetwork {
		network, s.enter = "--net", append(s.enter, "-n")
	}
	argv := []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", spaceScript, "sh", network, o.cgroup}
	if o.cgroup != "" {
		s.enter = append(s.enter, "-C")
		if _, err := os.Stat("/run/systemd/system"); err == nil { // sd_booted(3): systemd manages the cgroups
			argv = append([]string{"systemd-run", "--quiet", "--scope", "--collect", "--property=Delegate=yes", "--"}, argv...)
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environment()
	// A separate process group: ^C at the terminal must only reach this process, which then ends the space in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make namespaces: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make namespaces: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot make namespaces: %w", err)
	}
	s.stdin = stdin
	answer := make(chan string, 1)
	go func() {
		// cat returns the second line only after the init has executed cat. Before that, changing the root could break the
		// init.
		_, _ = io.WriteString(stdin, "\n")
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		_, _ = r.ReadString('\n')
		answer <- line
		_ = cmd.Wait()
		close(s.done)
	}()
	select {
	case line := <-answer:
		s.pid, err = strconv.Atoi(strings.TrimSpace(line))
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		_ = s.close()
		return nil, fmt.Errorf("cannot make namespaces: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return s, nil
}

// close ends everything in the space, and waits for it.
func (s *space) close() error {
	_ = s.stdin.Close()
	select {
	case <-s.done:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("cannot end the namespaces of process %d: it is still running", s.pid)
	}
}

// root returns the path of the space's root directory, as seen from outside.
func (s *space) root() string { return fmt.Sprintf("/proc/%d/root", s.pid) }

// netns returns the path of the space's network namespace, as seen from outside.
func (s *space) netns() string { return fmt.Sprintf("/proc/%d/ns/net", s.pid) }

// command returns a command in the space. When ctx ends, its whole process group is killed.
func (s *space) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return enter(ctx, s.pid, s.enter, name, args...)
}

func enter(ctx context.Context, pid int, namespaces []string, name string, args ...string) *exec.Cmd {
	argv := append(withOpenFiles("nsenter", "-t", strconv.Itoa(pid)), namespaces...)
	argv = append(append(argv, "--", name), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A daemon that the command started may keep the output pipe open.
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// environment returns the environment of commands: only PATH and fixed values.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
}

// run runs a command to its end, and returns its output (stdout and stderr together) and its exit status. An error means
// that there is no status: the command could not be started or was killed.
func run(cmd *exec.Cmd) (out string, status int, err error) {
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return b.String(), 0, nil
	case errors.As(err, &exit) && exit.Exited():
		return b.String(), exit.ExitCode(), nil
	}
	return b.String(), -1, fmt.Errorf("cannot run %s: %w", cmd.Args[len(cmd.Args)-1], err)
}
