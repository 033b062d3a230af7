// Package packertest provides a real Packer with the project's plugin to tests. Packer is built from the Go module proxy
// into a cache, and run as a tool. It is never linked, because its core has the BUSL licence.
package packertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/needs"
)

// Packer returns the path of a real Packer. Building it takes two minutes, so it is built once and cached.
func Packer(t testing.TB) string {
	t.Helper()
	return gotool.Path(t, "github.com/hashicorp/packer", "v1.11.2", ".")
}

// Env returns an environment with which Packer uses only the test's own plugins, settings and cache, not those of this
// machine's user.
func Env(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	return append(os.Environ(),
		"PACKER_PLUGIN_PATH="+filepath.Join(dir, "plugins"),
		"PACKER_CONFIG_DIR="+dir,
		"PACKER_CACHE_DIR="+filepath.Join(dir, "cache"),
		"CHECKPOINT_DISABLE=1",
	)
}

// Plugin builds the project's plugin and returns an environment in which Packer finds it.
func Plugin(t testing.TB) []string {
	t.Helper()
	env := Env(t)
	Install(t, env, Binary(t, "packer-plugin-hapair"), "github.com/hapair/hapair")
	return env
}

// Qemu installs Packer's plugin for QEMU beside the project's own. It is built once, which takes about a minute.
func Qemu(t testing.TB, env []string) {
	t.Helper()
	plugin := gotool.Path(t, "github.com/hashicorp/packer-plugin-qemu", "v1.0.9", ".")
	Install(t, env, plugin, "github.com/hashicorp/qemu")
}

// Binary builds one of the project's commands and returns its path.
func Binary(t testing.TB, command string) string {
	t.Helper()
	needs.Programs(t)
	bin := filepath.Join(t.TempDir(), command)
	gotool.Build(t, bin, "github.com/hapair/hapair/cmd/"+command)
	return bin
}

// Command returns a command that runs Packer in dir. When ctx ends, Packer is interrupted, and has a minute to clean up.
func Command(ctx context.Context, t testing.TB, env []string, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, Packer(t), args...)
	cmd.Dir, cmd.Env = dir, env
	// Packer consists of two processes. The outer one forwards SIGTERM to the inner one, but not SIGINT, which a terminal
	// sends to both.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// Run runs Packer in dir and returns its combined output.
func Run(ctx context.Context, t testing.TB, env []string, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := Command(ctx, t, env, dir, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("packer %s: %w", strings.Join(args, " "), err)
	}
	return string(out), err
}

// Install lets Packer install a plugin's binary as the plugin of a source.
func Install(t testing.TB, env []string, bin, source string) {
	t.Helper()
	if out, err := Run(t.Context(), t, env, t.TempDir(), "plugins", "install", "--path", bin, source); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
