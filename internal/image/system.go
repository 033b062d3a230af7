package image

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// device is a node in the image's /dev while the image is open.
type device struct {
	name         string
	mode         uint32
	major, minor uint32
}

// devices returns the nodes that programs expect. Of disks, the image gets only its own.
func devices() []device {
	return []device{
		{"null", 0o666, 1, 3}, {"zero", 0o666, 1, 5}, {"full", 0o666, 1, 7}, {"random", 0o666, 1, 8},
		{"urandom", 0o666, 1, 9}, {"tty", 0o666, 5, 0},
	}
}

// mountSystem mounts /dev, /sys and /run of a running system in the image. Each command mounts its own /proc. If writeDisk
// is true, the nodes of its disk are writable. A base of unknown origin must not get writable nodes, because it could change
// a file system that the kernel has mounted.
func (o *opened) mountSystem(writeDisk bool) error {
	for _, dir := range []string{"/dev", "/sys", "/run", "/proc"} {
		if err := o.root.mkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot use the image: its %s is not a directory: %w", dir, err)
		}
	}
	const guarded = unix.MS_NOSUID | unix.MS_NOEXEC
	if err := o.mountIn("/dev", "tmpfs", "tmpfs", guarded, "mode=755,size=1m"); err != nil {
		return err
	}
	if err := o.fillDev(writeDisk); err != nil {
		return fmt.Errorf("cannot create the image's /dev: %w", err)
	}
	if err := o.mountIn("/dev/pts", "devpts", "devpts", guarded, "newinstance,gid=5,mode=620,ptmxmode=666"); err != nil {
		return err
	}
	if err := o.mountIn("/dev/shm", "tmpfs", "tmpfs", guarded|unix.MS_NODEV, "mode=1777"); err != nil {
		return err
	}
	if err := o.mountIn("/sys", "sysfs", "sysfs", guarded|unix.MS_NODEV|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := o.mountIn("/run", "tmpfs", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	return o.root.mkdirAll("/run/lock", 0o1777)
}

// fillDev creates the nodes. update-grub needs the nodes of the disk: it uses the root's UUID only if /dev/disk/by-uuid has
// it, and finds no kernel if the name of the root's device begins with /dev/loop (10_linux treats that as a file on another
// disk). Therefore the nodes have another name, and the name in /proc/self/mountinfo is a link to it.
func (o *opened) fillDev(writeDisk bool) error {
	dev, err := o.root.dir("/dev")
	if err != nil {
		return err
	}
	defer dev.Close()
	for _, d := range devices() {
		if err := dev.mknod(d.name, unix.S_IFCHR|d.mode, d.major, d.minor); err != nil {
			return err
		}
	}
	for _, l := range o.loops {
		node := l
		if !writeDisk {
			if node, err = o.attach(partition{offset: l.offset, size: l.size}, true); err != nil {
				return err
			}
		}
		if err := dev.mknod(l.alias(), unix.S_IFBLK|0o660, loopMajor, node.number); err != nil {
			return err
		}
		if err := o.root.symlink(l.alias(), l.path()); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm", "/dev/disk/by-uuid"} {
		if err := o.root.mkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	links := map[string]string{
		"/dev/ptmx": "pts/ptmx", "/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
		"/dev/disk/by-uuid/" + o.uuid: "../../" + o.device.alias(),
	}
	for name, target := range links {
		if err := o.root.symlink(target, name); err != nil {
			return err
		}
	}
	return nil
}

func (r root) mknod(name string, mode, major, minor uint32) error {
	if err := unix.Mknodat(int(r.Fd()), name, mode, int(unix.Mkdev(major, minor))); err != nil {
		return &os.PathError{Op: "mknod", Path: name, Err: err}
	}
	// mknod applies the process's umask to the mode.
	return unix.Fchmodat(int(r.Fd()), name, mode&0o777, 0)
}
