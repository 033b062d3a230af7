package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Root of a host is not root of this machine, but another user. So a host cannot write what only root may write, such as
// most of /proc/sys, however it mounts it. An idmapped mount shows the files of its base as files of that user; see
// mount_setattr(2), MOUNT_ATTR_IDMAP, and user_namespaces(7).
const (
	hostUID   = 0x6e680000 // far above the users of a machine; a multiple of 65536, as systemd-nspawn(1) requires
	hostUsers = 65536
)

// shifted mounts the tree at dir a second time at target, with its users shifted by hostUID as in the user namespace users.
// It runs in the lab's mount namespace.
func shifted(dir, target string, users *os.File) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// hostUserNamespace creates a user namespace with the users of a host. Its process exits as soon as the namespace is open.
func hostUserNamespace() (*os.File, error) {
	cmd := exec.Command("cat")
	users := []syscall.SysProcIDMap{{ContainerID: 0, HostID: hostUID, Size: hostUsers}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: users, GidMappings: users}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot make a user namespace: %w", err)
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	_ = stdin.Close()
	_ = cmd.Wait() // its exit status does not matter
	return f, err
}

// mountDisk mounts a host's disk, an overlay of its base, and returns the user that is root in it. If the file system or the
// kernel cannot shift users (before Linux 5.19, or if the base is an overlay), root of the host is root of this machine, but
// without capabilities.
func mountDisk(base *Base, dir string) (uid int, err error) {
	if uid, err = hostUID, os.Chdir(base.dir+shiftedSuffix); err == nil {
		if err = mountOverlay(dir+"/upper", dir+"/work", dir+"/root"); err == nil {
			return uid, os.Chown(dir+"/root", uid, uid)
		}
	}
	if err := os.Chdir(base.dir); err != nil {
		return 0, err
	}
	return 0, mountOverlay(dir+"/upper", dir+"/work", dir+"/root")
}

const shiftedSuffix = ".shifted"

// writeAs is like writeIn, for a file and new directories that belong to a user. Existing files and directories keep their
// owner.
func writeAs(root *os.Root, uid int, name string, mode fs.FileMode, data []byte) error {
	rel := strings.TrimPrefix(path.Clean("/"+name), "/")
	var made []string
	for at := rel; at != "."; at = path.Dir(at) {
		if _, err := root.Lstat(at); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		made = append(made, at)
	}
	if err := writeIn(root, name, mode, data); err != nil {
		return err
	}
	for _, at := range made {
		if err := root.Lchown(at, uid, uid); err != nil {
			return err
		}
	}
	return root.Chmod(rel, mode)
}
