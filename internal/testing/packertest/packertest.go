// Package packertest gives tests a real Packer with the project's own plugin in it. Packer is a tool here: it is built
// from the Go module proxy into a cache and run, never linked (its core is under the BUSL).
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

// Packer is the path of a real Packer. It is built once, which takes two minutes, and is then taken from the cache.
func Packer(t testing.TB) string {
	t.Helper()
	return gotool.Path(t, "github.com/hashicorp/packer", "v1.11.2", ".")
}

// Env is an environment in which Packer finds nothing of the machine's user: its plugins, its settings and its cache are
// the test's own.
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
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/hapair/hapair/cmd/"+command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", command, err, out)
	}
	return bin
}

// Command is Packer in dir. When ctx ends it is told to end, and has a minute to clean up.
func Command(ctx context.Context, t testing.TB, env []string, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, Packer(t), args...)
	cmd.Dir, cmd.Env = dir, env
	// Packer is two processes. The outer one hands SIGTERM on to the one that works, and SIGINT not: that is what a
	// terminal sends to both.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// Run runs Packer in dir and returns what it prints on both of its outputs.
func Run(ctx context.Context, t testing.TB, env []string, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := Command(ctx, t, env, dir, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("packer %s: %w", strings.Join(args, " "), err)
	}
	return string(out), err
}

// Install has Packer take a plugin's binary over as the plugin of that source.
func Install(t testing.TB, env []string, bin, source string) {
	t.Helper()
	if out, err := Run(t.Context(), t, env, t.TempDir(), "plugins", "install", "--path", bin, source); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
