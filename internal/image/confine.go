package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// insideName is the name under which this program starts again to run a command in an image. The command runs as root, and
// the image may be hostile. So before the image's shell begins, this program starts in new namespaces (mount, process, IPC,
// host name, cgroup), makes the image the root of its mount namespace, drops every capability that reaches beyond the image,
// and then executes the shell.
const insideName = "hapair-inside"

const (
	scriptFD = 3 // the script that the shell reads
	failFD   = 4 // receives the reason if the shell could not begin; closed when it begins
	selfFD   = 5 // this program, which starts as the helper
)

// Every program that links this package can be started as this helper.
func init() {
	if len(os.Args) == 1 && os.Args[0] == insideName {
		fail := os.NewFile(failFD, "")
		_, _ = fail.WriteString(inside().Error())
		os.Exit(1)
	}
}

// inside runs on the main thread, as every init function does. It returns only if the shell could not be started.
func inside() error {
	// The shell keeps its standard streams and its script. All other descriptors are closed, because some parents leak
	// descriptors of the machine (Packer does).
	if err := unix.CloseRange(failFD, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("cannot close descriptors: %w", err)
	}
	if err := enterImage(); err != nil {
		return err
	}
	if err := mountProc(); err != nil {
		return fmt.Errorf("cannot mount the image's /proc: %w", err)
	}
	if err := dropPrivileges(); err != nil {
		return fmt.Errorf("cannot give up privileges: %w", err)
	}
	err := unix.Exec("/bin/sh", []string{"/bin/sh", fmt.Sprintf("/proc/self/fd/%d", scriptFD)}, os.Environ())
	return fmt.Errorf("cannot start the image's /bin/sh: %w", err)
}

// enterImage makes the image the root, and the only mount, of this mount namespace. A process can escape from a chroot with
// a second chroot, but not from a mount namespace that contains nothing else. See pivot_root(2) for the two dots.
func enterImage() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := unix.Chdir(rootDir); err != nil {
		return fmt.Errorf("cannot enter the image: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("cannot make the image the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot leave this machine's root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("cannot enter the image: %w", err)
	}
	// The image must not see this machine's host name.
	return unix.Sethostname([]byte("localhost"))
}

// maskedProc returns files of /proc that show information about the machine, not the image.
func maskedProc() []string {
	return []string{"kcore", "keys", "key-users", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "sched_debug", "timer_list", "vmallocinfo"}
}

// mountProc mounts /proc for this process namespace. It is read-only, because root could otherwise write to most of
// /proc/sys and to sysrq-trigger without any capability. Links in the image cannot redirect the mount.
func mountProc() error {
	at, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return err
	}
	proc, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(proc)
	if err := unix.MoveMount(proc, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return err
	}
	for _, name := range maskedProc() {
		if err := mask(proc, name); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot mask %s: %w", name, err)
		}
	}
	return nil
}

// mask mounts the image's /dev/null over a file.
func mask(dir int, name string) error {
	null, err := unix.OpenTree(unix.AT_FDCWD, "/dev/null", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	return unix.MoveMount(null, "", dir, name, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// keptCapabilities returns the capabilities that scripts of packages need for files and accounts of the image. The network
// belongs to this machine, so no capability that can change it is kept.
func keptCapabilities() []uintptr {
	return []uintptr{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_SETFCAP, // files
		unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_KILL, // accounts and their processes
		unix.CAP_NET_BIND_SERVICE, unix.CAP_AUDIT_WRITE, // tests of daemons; PAM
	}
}

// dropPrivileges removes privileges that reach beyond the image from this thread, and so from the program that it executes.
func dropPrivileges() error {
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := scopeSockets(); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if err := filterSystemCalls(); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

// dropCapabilities reduces the bounding set, and empties the inheritable set and with it the ambient set. A program that
// root executes gets capabilities only from these. See capabilities(7).
func dropCapabilities() error {
	var keep uint64
	for _, c := range keptCapabilities() {
		keep |= 1 << c
	}
	for c := uintptr(0); c < 64; c++ {
		if keep&(1<<c) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // the kernel has no more capabilities
		}
		if err != nil {
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	return nil
}

// scopeSockets prevents access to this machine's abstract Unix sockets, which belong to the network namespace and not to a
// file system. Kernels before 6.12 cannot do that.
func scopeSockets() error {
	const (
		versionFlag        = 1      // LANDLOCK_CREATE_RULESET_VERSION
		scopeABI           = 6      // the first with scopes
		scopeAbstractUnix  = 1 << 0 // LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
		scopeSignal        = 1 << 1 // LANDLOCK_SCOPE_SIGNAL
		unsupportedVersion = 0
	)
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, versionFlag)
	if errno != 0 {
		abi = unsupportedVersion
	}
	if abi < scopeABI {
		return nil
	}
	attr := struct{ fs, net, scoped uint64 }{scoped: scopeAbstractUnix | scopeSignal}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// confined prepares a command that runs a script with the image's shell. finish returns the reason if the shell could not
// begin. The caller must call it when the command has ended or was not started.
func confined(ctx context.Context, script *os.File) (cmd *exec.Cmd, finish func() error, err error) {
	self, err := selfCopy()
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	// The program must be among the command's files: the new process may use the number of any other descriptor for itself before
	// it starts the program.
	cmd = exec.CommandContext(ctx, fmt.Sprintf("/proc/self/fd/%d", selfFD))
	cmd.Args = []string{insideName}
	cmd.ExtraFiles = []*os.File{script, w, self}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
		Pdeathsig:  unix.SIGKILL,
		// The shell has its own session without a terminal. Otherwise it could write to our terminal as if a person typed
		// (ioctl_tty(2), TIOCSTI). Signals from the terminal come to us, and we end the shell.
		Setsid: true,
	}
	return cmd, func() error {
		defer r.Close()
		w.Close()
		reason := make([]byte, 1024)
		if n, _ := r.Read(reason); n > 0 {
			return errors.New(strings.TrimSpace(string(reason[:n])))
		}
		return nil
	}, nil
}
