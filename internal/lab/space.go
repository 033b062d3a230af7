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

// space is a set of namespaces (mount, pid, uts, ipc and mostly net) held open by one process, its init. The init waits
// for the end of its standard input: whatever way this process ends, the pipe is closed, the init leaves, and the kernel
// kills all that is left in the pid namespace and takes down mounts and network with it.
type space struct {
	pid   int      // of the init, as seen from here
	enter []string // nsenter's flags
	stdin io.Closer
	done  chan struct{} // closed when the init's parent is gone
}

type spaceOptions struct {
	hostNetwork bool
	cgroup      string // a cgroup of the space's own, with the namespace to it; empty: none
}

// newSpace makes namespaces. They last until close, or until this process ends.
func newSpace(ctx context.Context, o spaceOptions) (*space, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("cannot make namespaces: this needs root; run it by sudo")
	}
	s := &space{enter: []string{"-m", "-p", "-u", "-i"}, done: make(chan struct{})}
	network := ""
	if !o.hostNetwork {
		network, s.enter = "--net", append(s.enter, "-n")
	}
	argv := []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", spaceScript, "sh", network, o.cgroup}
	if o.cgroup != "" {
		s.enter = append(s.enter, "-C")
		if _, err := os.Stat("/run/systemd/system"); err == nil { // sd_booted(3): then the cgroups are systemd's to give
			argv = append([]string{"systemd-run", "--quiet", "--scope", "--collect", "--property=Delegate=yes", "--"}, argv...)
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environment()
	// A group of its own: a ^C at the terminal is for this process, which then ends the space in order.
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
		// The second line comes back from cat: the init has become what it will stay. Before, a change of root would
		// pull the ground from under it.
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

// close ends everything in the space and waits for it.
func (s *space) close() error {
	_ = s.stdin.Close()
	select {
	case <-s.done:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("cannot end the namespaces of process %d: it is still there", s.pid)
	}
}

// root is the space's root directory, as seen from here.
func (s *space) root() string { return fmt.Sprintf("/proc/%d/root", s.pid) }

// netns is the space's network namespace, as seen from here.
func (s *space) netns() string { return fmt.Sprintf("/proc/%d/ns/net", s.pid) }

// command is a command in the space. When ctx ends, its whole process group is killed.
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
	// A daemon that the command left behind may hold the pipe of its output.
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// environment is what commands see of the environment: nothing of this process's but the way.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
}

// run runs a command to its end: what it printed (stdout and stderr together) and its exit status. An error means that
// there is no status: the command could not be started or was killed.
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
