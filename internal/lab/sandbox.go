package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Sandbox is a root to run commands in: an overlay of it that is thrown away, in mount, network, pid, uts and ipc
// namespaces of its own. It has no way out and no systemd.
type Sandbox struct {
	space *space
}

// SandboxOption is something that a sandbox has besides its root.
type SandboxOption func(*sandboxOptions)

type sandboxOptions struct {
	interfaces []string
	addresses  []ifaceAddress
}

type ifaceAddress struct {
	name   string
	prefix netip.Prefix
}

// Interfaces gives the sandbox network interfaces of these names, up and with a carrier.
func Interfaces(names ...string) SandboxOption {
	return func(o *sandboxOptions) { o.interfaces = append(o.interfaces, names...) }
}

// Address gives an interface of the sandbox an address.
func Address(name string, prefix netip.Prefix) SandboxOption {
	return func(o *sandboxOptions) { o.addresses = append(o.addresses, ifaceAddress{name, prefix}) }
}

// NewSandbox makes a sandbox of the root directory root, which stays as it is.
func NewSandbox(ctx context.Context, root string, options ...SandboxOption) (*Sandbox, error) {
	var o sandboxOptions
	for _, option := range options {
		option(&o)
	}
	space, err := newSpace(ctx, spaceOptions{})
	if err != nil {
		return nil, err
	}
	sb := &Sandbox{space}
	err = within(space.pid, func() error { return enterRoot(root) })
	if err == nil {
		err = setUpLinks(space.netns(), o)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make a sandbox of %s: %w", root, err), sb.Close())
	}
	return sb, nil
}

// Close kills what runs in the sandbox and drops what was written.
func (sb *Sandbox) Close() error { return sb.space.close() }

// PID is a process that has the sandbox's namespaces: /proc/PID/root is its root.
func (sb *Sandbox) PID() int { return sb.space.pid }

// Command is a command in the sandbox, killed with all its children when ctx ends. Its environment is minimal.
func (sb *Sandbox) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return sb.space.command(ctx, name, args...)
}

// Run runs a command in the sandbox: what it printed (stdout and stderr together) and its exit status. An error means
// that there is no status: it could not be started, or was killed.
func (sb *Sandbox) Run(ctx context.Context, name string, args ...string) (out string, status int, err error) {
	return run(sb.Command(ctx, name, args...))
}

// WriteFile writes a file of the sandbox, with the directories above it. The owner is given as chown takes it, names of
// the sandbox's own accounts: root:haproxy. Empty means root:root.
func (sb *Sandbox) WriteFile(ctx context.Context, name string, mode fs.FileMode, owner string, data []byte) error {
	root, err := os.OpenRoot(sb.space.root())
	if err == nil {
		defer root.Close()
		err = writeIn(root, name, mode, data)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s of the sandbox: %w", name, err)
	}
	if owner == "" {
		return nil
	}
	out, status, err := sb.Run(ctx, "chown", owner, path.Clean("/"+name))
	if err == nil && status != 0 {
		err = errors.New(strings.TrimSpace(out))
	}
	if err != nil {
		return fmt.Errorf("cannot give %s of the sandbox to %s: %w", name, owner, err)
	}
	return nil
}

// writeIn writes a file below a root, with the directories above it. Mode holds whatever the umask.
func writeIn(root *os.Root, name string, mode fs.FileMode, data []byte) error {
	rel := strings.TrimPrefix(path.Clean("/"+name), "/")
	if err := root.MkdirAll(path.Dir(rel), 0o755); err != nil {
		return err
	}
	if err := root.WriteFile(rel, data, mode); err != nil {
		return err
	}
	return root.Chmod(rel, mode)
}

// ReadFile reads a file of the sandbox.
func (sb *Sandbox) ReadFile(name string) ([]byte, error) {
	root, err := os.OpenRoot(sb.space.root())
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of the sandbox: %w", name, err)
	}
	defer root.Close()
	return root.ReadFile(strings.TrimPrefix(path.Clean("/"+name), "/"))
}

// enterRoot makes an overlay of dir the root of the mount namespace of this thread, and of every process in it.
func enterRoot(dir string) error {
	const base = "/mnt"                     // FHS: there on every system, and nobody's
	if err := unix.Chdir(dir); err != nil { // before something is mounted over it
		return fmt.Errorf("cannot enter %s: %w", dir, err)
	}
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("cannot mount a tmpfs: %w", err)
	}
	if err := mountOverlay(base+"/upper", base+"/work", base+"/root"); err != nil {
		return err
	}
	root := base + "/root"
	if err := mountSystem(root); err != nil {
		return err
	}
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("cannot enter %s: %w", root, err)
	}
	// pivot_root(2): with both the same, the old root lies over the new one, and is taken off again. It moves every
	// process of the namespace, the init too.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot leave the old root: %w", err)
	}
	return nil
}

// mountOverlay mounts an overlay of the working directory, in whose path a colon or a comma would need escapes.
func mountOverlay(upper, work, target string) error {
	for _, d := range []string{upper, work, target} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("cannot make an overlay: %w", err)
		}
	}
	options := fmt.Sprintf("lowerdir=.,upperdir=%s,workdir=%s", upper, work)
	// The device nodes of a root are not for use: those of an image may be this machine's disks.
	if err := unix.Mount("overlay", target, "overlay", unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("cannot mount an overlay: %w", err)
	}
	return nil
}

// mountSystem gives a root what programs expect of a running system: /proc and /sys of the thread's namespaces, the
// harmless devices, and empty /run and /tmp.
func mountSystem(root string) error {
	for _, d := range []string{"/proc", "/sys"} {
		if err := unix.Mount(d, root+d, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("cannot bind %s: %w", d, err)
		}
	}
	for dir, options := range map[string]string{"/dev": "mode=755", "/run": "mode=755", "/tmp": "mode=1777"} {
		if err := unix.Mount("tmpfs", root+dir, "tmpfs", unix.MS_NOSUID, options); err != nil {
			return fmt.Errorf("cannot mount a tmpfs on %s: %w", dir, err)
		}
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		target := root + "/dev/" + name
		if err := os.WriteFile(target, nil, 0o666); err != nil {
			return fmt.Errorf("cannot make /dev/%s: %w", name, err)
		}
		if err := unix.Mount("/dev/"+name, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cannot bind /dev/%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, root+"/dev/"+name); err != nil {
			return fmt.Errorf("cannot make /dev/%s: %w", name, err)
		}
	}
	if err := os.Mkdir(root+"/dev/shm", 0o1777); err != nil {
		return fmt.Errorf("cannot make /dev/shm: %w", err)
	}
	return nil
}
