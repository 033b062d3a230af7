package image

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/gotool"
)

// intruder builds the program that tries to escape from the image.
func intruder(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "intruder")
	gotool.Build(t, file, "./testdata/intruder")
	return file
}

// A hostile base has another program in place of /bin/sh, which runs as root in every step of a bake. It tries the known
// ways to escape from a chroot. It must not change or read anything of this machine.
func TestHostileShell(t *testing.T) {
	program := intruder(t)
	base := toyBase(t, func(tree string) {
		if err := os.Remove(filepath.Join(tree, "bin/sh")); err != nil {
			t.Fatal(err)
		}
		copyFile(t, program, filepath.Join(tree, "bin/sh"))
		// The image's file system may already contain a device node of this machine's disk.
		if err := unix.Mknod(filepath.Join(tree, "root/disk"), unix.S_IFBLK|0o666, int(hostDisk(t))); err != nil {
			t.Fatal(err)
		}
	})
	host := newVictim(t)
	o := toyOptions(t, base)
	var out bytes.Buffer
	_, err := Bake(t.Context(), o, func(ctx context.Context, m *Machine) error {
		m.env = append(m.env, host.env()...)
		return m.Run(ctx, "", &out)
	})
	if err == nil || !strings.Contains(err.Error(), "status 42") {
		t.Fatalf("the intruder did not finish: %v\n%s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "OUT ") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if n := strings.Count(out.String(), "\nin "); n < 20 {
		t.Errorf("only %d attempts were made:\n%s", n, out.String())
	}
	host.check(t)
}

// victim has the resources of this machine that a hostile image could reach.
type victim struct {
	secret   string // path of a file
	process  *exec.Cmd
	socket   string // name of an abstract Unix socket
	core     string // core_pattern before the test
	hostname string
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	// Not in /tmp, because the image's mount namespace mounts another file system over it.
	dir, err := os.MkdirTemp("/var/tmp", "hapair-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &victim{secret: filepath.Join(dir, "secret"), socket: fmt.Sprintf("@hapair-test-%d", os.Getpid())}
	write(t, v.secret, "of this machine")
	// A descriptor that another program opened may lack FD_CLOEXEC.
	leaked, err := unix.Open(v.secret, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(leaked) })
	v.process = exec.Command("sleep", "1000")
	if err := v.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.process.Process.Kill()
		_ = v.process.Wait()
	})
	listener, err := net.Listen("unix", v.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	v.core, v.hostname = readTrim(t, "/proc/sys/kernel/core_pattern"), readTrim(t, "/proc/sys/kernel/hostname")
	return v
}

func readTrim(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (v *victim) env() []string {
	socket := v.socket
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1); errno != 0 || abi < 6 {
		socket = "" // docs/image.md: not protected with this kernel
	}
	return []string{"VICTIM_FILE=" + v.secret, fmt.Sprintf("VICTIM_PID=%d", v.process.Process.Pid), "VICTIM_SOCKET=" + socket}
}

func (v *victim) check(t *testing.T) {
	t.Helper()
	if got := readTrim(t, v.secret); got != "of this machine" {
		t.Errorf("this machine's file is now %q", got)
	}
	if err := v.process.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("this machine's process: %v", err)
	}
	if got := readTrim(t, "/proc/sys/kernel/core_pattern"); got != v.core {
		t.Errorf("this machine's core_pattern is now %q", got)
	}
	if got := readTrim(t, "/proc/sys/kernel/hostname"); got != v.hostname {
		t.Errorf("this machine's name is now %q", got)
	}
}

// hostDisk returns the device number of this machine's root file system, or of a loop device if the root has none.
func hostDisk(t *testing.T) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/", &st); err != nil {
		t.Fatal(err)
	}
	if unix.Major(st.Dev) == 0 {
		return unix.Mkdev(loopMajor, 0)
	}
	return st.Dev
}

// A shell that cannot start is different from a script that failed, and the error must show it.
func TestNoShell(t *testing.T) {
	base := toyBase(t, func(tree string) {
		if err := os.Remove(filepath.Join(tree, "bin/sh")); err != nil {
			t.Fatal(err)
		}
	})
	_, err := Bake(t.Context(), toyOptions(t, base), func(ctx context.Context, m *Machine) error { return m.Run(ctx, "true", nil) })
	if err == nil || !strings.Contains(err.Error(), "cannot run a command in the image: cannot start the image's /bin/sh: no such file or directory") {
		t.Errorf("error %v", err)
	}
}

// Scripts of packages must be able to use files of any owner and mode, accounts, set-uid programs and devices.
func TestConfinedScriptsWork(t *testing.T) {
	const script = `set -eu
echo x >/etc/file
chown 12:34 /etc/file
chmod 4755 /etc/file
[ "$(stat -c '%u %g %a' /etc/file)" = '12 34 4755' ]
mkdir -m 700 /etc/theirs
chown 12:34 /etc/theirs
echo x >/etc/theirs/file
cat /dev/null /proc/self/stat /proc/sys/kernel/ostype /proc/filesystems >/dev/null
[ "$(cat /proc/sys/kernel/hostname)" = localhost ]
`
	bake(t, toyOptions(t, toyBase(t)), func(ctx context.Context, m *Machine) error {
		var out bytes.Buffer
		err := m.Run(ctx, script, &out)
		if err != nil {
			t.Log(out.String())
		}
		return err
	})
}
