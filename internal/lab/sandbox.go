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

// Sandbox is a root in which to run commands: a temporary overlay of a root, in separate mount, network, PID, UTS and IPC
// namespaces. It has no connection to the outside, and no systemd.
type Sandbox struct {
	space *space
}

// SandboxOption is an option for NewSandbox.
type SandboxOption func(*sandboxOptions)

type sandboxOptions struct {
	interfaces []string
	addresses  []ifaceAddress
}

type ifaceAddress struct {
	name   string
	prefix netip.Prefix
}

// Interfaces adds network interfaces with these names, which are up and have a carrier.
func Interfaces(names ...string) SandboxOption {
	return func(o *sandboxOptions) { o.interfaces = append(o.interfaces, names...) }
}

// Address adds an address to an interface of the sandbox.
func Address(name string, prefix netip.Prefix) SandboxOption {
	return func(o *sandboxOptions) { o.addresses = append(o.addresses, ifaceAddress{name, prefix}) }
}

// NewSandbox creates a sandbox from the root directory root, which is not changed.
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

// Close kills all processes in the sandbox and discards all written files.
func (sb *Sandbox) Close() error { return sb.space.close() }

// PID returns a process in the sandbox's namespaces: /proc/PID/root is its root.
func (sb *Sandbox) PID() int { return sb.space.pid }

// Command returns a command in the sandbox, which is killed with all its children when ctx ends. Its environment is minimal.
func (sb *Sandbox) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return sb.space.command(ctx, name, args...)
}

// Run runs a command in the sandbox, and returns its output (stdout and stderr together) and its exit status. An error means
// that there is no status: the command could not be started, or was killed.
func (sb *Sandbox) Run(ctx context.Context, name string, args ...string) (out string, status int, err error) {
	return run(sb.Command(ctx, name, args...))
}

// WriteFile writes a file of the sandbox, and creates its parent directories. The owner has the format of chown, with names
// of the sandbox's accounts: root:haproxy. Empty means root:root, or the owner that an existing file has.
func (sb *Sandbox) WriteFile(ctx context.Context, name string, mode fs.FileMode, owner string, data []byte) error {
	root, err := os.OpenRoot(sb.space.root())
	if err == nil {
		defer root.Close()
		err = writeIn(root, name, mode, data)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s of the sandbox: %w", name, err)
	}
	if owner == "" || owner == "root:root" {
		return nil // chown would be a process for each file
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

// writeIn writes a file below a root, and creates its parent directories. It sets the mode exactly, independent of the
// umask.
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

// enterRoot makes an overlay of dir the root of this thread's mount namespace, and of every process in it.
func enterRoot(dir string) error {
	const base = "/mnt"                     // exists on every system and is unused (FHS)
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
	// pivot_root(2): with the same path twice, the old root is mounted over the new one, and is then unmounted. This changes
	// the root of every process in the namespace, including the init.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot leave the old root: %w", err)
	}
	return nil
}

// mountOverlay mounts an overlay of the working directory. A path with a colon or a comma would have to be escaped.
func mountOverlay(upper, work, target string) error {
	for _, d := range []string{upper, work, target} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("cannot make an overlay: %w", err)
		}
	}
	options := fmt.Sprintf("lowerdir=.,upperdir=%s,workdir=%s", upper, work)
	// Device nodes of a root must not be usable: those of an image may be disks of this machine.
	if err := unix.Mount("overlay", target, "overlay", unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("cannot mount an overlay: %w", err)
	}
	return nil
}

// mountSystem mounts what programs expect of a running system: /proc and /sys for the thread's namespaces, harmless devices,
// and empty /run and /tmp.
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
