package provisioner

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/hapair/hapair/internal/install"
)

var _ install.Machine = (*machine)(nil)

// local is a communicator to this machine. The test's own programs come first in PATH.
type local struct {
	packersdk.Communicator
	path string
	// damage changes the content of an upload.
	damage func([]byte) []byte
}

func (l *local) Start(ctx context.Context, cmd *packersdk.RemoteCmd) error {
	c := exec.Command("/bin/sh", "-c", cmd.Command)
	c.Env = []string{"PATH=" + l.path + ":/usr/sbin:/usr/bin:/sbin:/bin"}
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	go func() {
		_ = c.Wait()
		cmd.SetExited(c.ProcessState.ExitCode())
	}()
	return nil
}

func (l *local) Upload(to string, content io.Reader, _ *os.FileInfo) error {
	data, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if l.damage != nil {
		data = l.damage(data)
	}
	return os.WriteFile(to, data, 0o644)
}

// program writes a shell script to a directory of the communicator's PATH.
func (l *local) program(t *testing.T, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(l.path, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// newLocal returns a communicator to a machine whose `install` does not change owners, so that the test does not need root.
func newLocal(t *testing.T, uid string) *local {
	t.Helper()
	l := &local{path: t.TempDir()}
	l.program(t, "id", "echo "+uid)
	l.program(t, "install", `[ "$1 $2 $3 $4" = "-o root -g root" ] || exit 9; shift 4; exec /usr/bin/install "$@"`)
	return l
}

func connected(t *testing.T, l *local) *machine {
	t.Helper()
	m, err := connect(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.close(context.Background()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(m.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was not removed: %v", m.dir, err)
		}
	})
	return m
}

func TestRun(t *testing.T) {
	m := connected(t, newLocal(t, "0"))
	var out strings.Builder
	// A command that reads standard input must not consume the script.
	if err := m.Run(t.Context(), "cat\necho 'it''s'\necho two >&2\n", &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "its\ntwo\n" {
		t.Errorf("got %q", out.String())
	}
	if err := m.Run(t.Context(), "exit 7\n", io.Discard); err == nil || err.Error() != "exit status 7" {
		t.Errorf("got %v, want exit status 7", err)
	}
}

func TestRunBySudo(t *testing.T) {
	l := newLocal(t, "1000")
	log := filepath.Join(t.TempDir(), "log")
	l.program(t, "sudo", `[ "$1" = -n ] || exit 9; shift; echo "$1" >>`+log+`; exec "$@"`)
	m := connected(t, l)
	if err := m.Run(t.Context(), "true\n", io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "true\nsh\n" {
		t.Errorf("sudo was called for %q", got)
	}
}

func TestConnectFailures(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, l *local)
		want    string
	}{
		"no sudo": {
			func(t *testing.T, l *local) {
				l.program(t, "id", "echo 1000")
				l.program(t, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
			},
			"cannot become root on the machine: sudo: a password is required (exit status 1): log in as root, or as a user who may run sudo without a password",
		},
		"a talking shell": {
			func(t *testing.T, l *local) {
				l.program(t, "mktemp", "echo welcome; echo /tmp/packer-hapair.0123456789")
			},
			`cannot use the machine's shell: mktemp printed "welcome\n/tmp/packer-hapair.0123456789" instead of one path; make sure that the login's shell prints nothing`,
		},
		"a full disk": {
			func(t *testing.T, l *local) { l.program(t, "mktemp", "echo no space left; exit 1") },
			"cannot create a directory in /tmp on the machine: no space left (exit status 1)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLocal(t, "0")
			c.prepare(t, l)
			_, err := connect(t.Context(), l)
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestUpload(t *testing.T) {
	m := connected(t, newLocal(t, "0"))
	to := filepath.Join(t.TempDir(), "it's a file")
	for _, content := range []string{"old", strings.Repeat("new\x00", 1<<18)} {
		if err := m.Upload(t.Context(), to, 0o640, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != content {
			t.Errorf("got %d bytes, want %d", len(got), len(content))
		}
		info, err := os.Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o640 {
			t.Errorf("got mode %v", info.Mode())
		}
	}
	if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 1 {
		t.Errorf("got %v (%v), want only the file", left, err)
	}
}

func TestDamagedUploadChangesNothing(t *testing.T) {
	l := newLocal(t, "0")
	m := connected(t, l)
	to := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(to, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.damage = func(b []byte) []byte {
		if strings.HasPrefix(string(b), "set -eu") { // the script that moves the file to its path
			return b
		}
		return b[:len(b)-1]
	}
	err := m.Upload(t.Context(), to, 0o644, strings.NewReader("new"))
	if err == nil || !strings.HasSuffix(err.Error(), "exit status 1: the digest of the uploaded file is wrong") {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(to); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	m := connected(t, newLocal(t, "0"))
	fifo := filepath.Join(t.TempDir(), "fifo")
	ctx, cancel := context.WithCancel(t.Context())
	started := writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	start := time.Now()
	err := m.Run(ctx, "mkfifo "+fifo+"; echo started; timeout 60 cat "+fifo, started)
	if !errors.Is(err, context.Canceled) || time.Since(start) > 30*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	// Unblock a process that still waits.
	if f, err := os.OpenFile(fifo, os.O_RDWR, 0); err == nil {
		f.Close()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
