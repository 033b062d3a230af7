package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
)

// Admin logs in to machines by ssh from a client of the lab, with its own key.
type Admin struct {
	client *lab.Client
	dir    string
	User   string
	Key    string // the public key, as in authorized_keys
}

// NewKey generates the key with which a user logs in. On sets the client from which the user logs in.
func NewKey(t testing.TB, user string) *Admin {
	t.Helper()
	a := &Admin{dir: t.TempDir(), User: user}
	key := filepath.Join(a.dir, "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", user, "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	a.Key = strings.TrimSpace(string(public))
	// The machines generate their host keys at their first boot, on isolated networks.
	// Emulated machines that work hard may not answer for a minute.
	config := fmt.Sprintf("Host *\n  User %s\n  IdentityFile %s\n  IdentitiesOnly yes\n  BatchMode yes\n  ConnectTimeout 20\n  ServerAliveInterval 20\n  ServerAliveCountMax 15\n"+
		"  StrictHostKeyChecking accept-new\n  UserKnownHostsFile %s/known_hosts\n  LogLevel ERROR\n", user, key, a.dir)
	if err := os.WriteFile(a.Config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// On sets the client from which the user logs in.
func (a *Admin) On(c *lab.Client) { a.client = c }

// Forget forgets the machines' host keys. New machines with the same addresses have other keys.
func (a *Admin) Forget(t testing.TB) {
	t.Helper()
	if err := os.Remove(filepath.Join(a.dir, "known_hosts")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// Config returns the path of an ssh_config(5) for the user.
func (a *Admin) Config() string { return filepath.Join(a.dir, "ssh_config") }

// Command returns a program of this computer that uses the network of the client.
func (a *Admin) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return a.client.Command(ctx, name, args...)
}

// Run runs a shell script as root on the machine with an address, and returns its standard output.
func (a *Admin) Run(ctx context.Context, address, script string) (string, error) {
	cmd := a.Command(ctx, "ssh", "-F", a.Config(), address, "sudo sh -eu")
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("on %s: %s: %w: %s%s", address, script, err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// WaitBooted waits until cloud-init has finished and systemd has no more jobs, and returns the ID of the boot. before is the
// ID of an earlier boot, which does not count; it may be empty.
func (a *Admin) WaitBooted(ctx context.Context, m *Machine, address, before string) (string, error) {
	const script = `test -e /run/cloud-init/result.json
state=$(timeout 30 systemctl is-system-running --wait) || { echo "$state"; systemctl list-jobs --no-legend; systemctl --failed --plain --no-legend; cloud-init status --long; }
cat /proc/sys/kernel/random/boot_id`
	var id string
	err := poll.Nil(ctx, pollEvery, func() error {
		if err := m.Ended(); err != nil {
			return err
		}
		out, err := a.Run(ctx, address, script)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if id = lines[len(lines)-1]; id == before {
			return errors.New("it has not rebooted yet")
		}
		if len(lines) > 1 {
			return fmt.Errorf("its state is:\n%s", out)
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("%s has not booted: %w", m.Name, err)
	}
	return id, err
}

// tail returns the last lines of a file.
func tail(file string, lines int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
