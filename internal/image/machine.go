package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/install"
)

// Machine is the system in an opened image. It implements install.Machine.
type Machine struct {
	opened *opened
	env    []string

	mu    sync.Mutex
	files map[string]string // digests of the uploaded files, by path
}

var _ install.Machine = (*Machine)(nil)

// Command is a command for Exec.
type Command struct {
	Script         string // a script for /bin/sh
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run runs a shell script in the image; see install.Machine.
func (m *Machine) Run(ctx context.Context, script string, out io.Writer) error {
	status, err := m.Exec(ctx, Command{Script: script, Stdout: out, Stderr: out})
	if err == nil && status != 0 {
		err = fmt.Errorf("the script exited with status %d", status)
	}
	return err
}

// Exec runs a command in the image as root, confined to the image (see confine.go). The command has its own PID namespace:
// processes that it leaves running are killed. The status is the command's exit status, or 128 plus the number of the signal
// that ended it. An error means that the command could not be run to its end.
func (m *Machine) Exec(ctx context.Context, c Command) (status int, err error) {
	script, err := memfd("script", c.Script)
	if err != nil {
		return 0, err
	}
	defer script.Close()
	// The script is not passed as an argument, because every user of this machine can read arguments.
	cmd, finish, err := confined(ctx, script)
	if err != nil {
		return 0, err
	}
	cmd.Env = append([]string{
		"PATH=" + toolPath, "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_OFFLINE=1",
	}, m.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	err = m.opened.run(cmd)
	failed := finish()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if failed != nil {
		return 0, fmt.Errorf("cannot run a command in the image: %w", failed)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot run a command in the image: %w", err)
	}
	return 0, nil
}

// sandbox prepares a command with its own PID and mount namespaces: all processes that it starts end with it, and it ends
// with this process. The arguments are for unshare(1).
func sandbox(ctx context.Context, args ...string) (*exec.Cmd, error) {
	unshare, err := lookTool("unshare")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, unshare, append([]string{"--mount", "--mount-proc"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
		// The command has its own process group: a signal from the terminal comes to this process, which ends the command.
		Setpgid: true,
	}
	return cmd, nil
}

// memfd returns a file in memory with the content s.
func memfd(name, s string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := io.WriteString(f, s); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	return f, nil
}

// uploaded returns the digests of the files that were uploaded, by path.
func (m *Machine) uploaded() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.files)
}
