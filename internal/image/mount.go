package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tempDir is a separate tmpfs in the namespace, so that nothing is left on this machine, however the process ends.
	tempDir = "/tmp"
	// rootDir is the mount point of the image's root in the namespace.
	rootDir = tempDir + "/root"
)

const (
	// untrusted are flags of every mount of an image's file system: device nodes cannot be opened, and set-uid programs run
	// as the user who starts them. Both remain unchanged in the image.
	untrusted = unix.MS_NODEV | unix.MS_NOSUID
	// onError is the mount option of ext4 for a damaged file system. Without it, the image's own superblock could request a
	// kernel panic.
	onError = "errors=remount-ro"
)

// opened is a disk whose file systems are mounted in a separate mount namespace.
type opened struct {
	ns     *namespace
	disk   *os.File
	parts  []partition
	loops  []*loop
	device *loop // the device of the root file system
	uuid   string
	root   root
	mounts []string // mount points in the order of mounting

	running sync.WaitGroup
	stop    context.CancelFunc
	ctx     context.Context
}

// openDisk mounts a disk's root file system, and its /boot if that is a separate partition. It does not mount the ESP.
func openDisk(ctx context.Context, disk *os.File, readOnly bool) (*opened, error) {
	parts, err := partitions(ctx, disk)
	if err != nil {
		return nil, err
	}
	if err := checkClean(parts); err != nil {
		return nil, err
	}
	o, err := newOpened(disk, parts)
	if err != nil {
		return nil, err
	}
	err = o.mountRoot(readOnly)
	if err == nil {
		err = o.mountBoot(readOnly)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

func newOpened(disk *os.File, parts []partition) (*opened, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	o := &opened{ns: ns, disk: disk, parts: parts}
	o.ctx, o.stop = context.WithCancel(context.Background())
	err = o.mount("tmpfs", tempDir, "tmpfs", 0, "mode=1777")
	if err == nil {
		err = ns.do(func() error { return os.Mkdir(rootDir, 0o755) })
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// mount mounts a file system in the namespace; close unmounts it.
func (o *opened) mount(source, target, fstype string, flags uintptr, data string) error {
	err := o.ns.do(func() error { return unix.Mount(source, target, fstype, flags, data) })
	if err != nil {
		return fmt.Errorf("cannot mount %s on %s: %w", source, target, err)
	}
	o.mounts = append(o.mounts, target)
	return nil
}

// A child process that is being started has copies of our descriptors between fork and exec. During that time, a file system
// can be busy.
const (
	unmountTries = 200
	unmountPause = 10 * time.Millisecond
)

// unmount removes the newest mounts until keep are left.
func (o *opened) unmount(keep int) error {
	for len(o.mounts) > keep {
		target := o.mounts[len(o.mounts)-1]
		err := o.ns.do(func() error { return unix.Unmount(target, unix.UMOUNT_NOFOLLOW) })
		for tries := 0; errors.Is(err, unix.EBUSY) && tries < unmountTries; tries++ {
			time.Sleep(unmountPause)
			err = o.ns.do(func() error { return unix.Unmount(target, unix.UMOUNT_NOFOLLOW) })
		}
		if err != nil {
			return fmt.Errorf("cannot unmount %s: %w", target, err)
		}
		o.mounts = o.mounts[:len(o.mounts)-1]
	}
	return nil
}

// attach sets up a loop device for a partition; close frees it.
func (o *opened) attach(p partition, readOnly bool) (*loop, error) {
	l, err := attach(o.disk, p.offset, p.size, readOnly)
	if err == nil {
		o.loops = append(o.loops, l)
	}
	return l, err
}

// mountRoot finds and mounts the root: the ext4 partition that contains an os-release. Until it is found, partitions are
// mounted read-only.
func (o *opened) mountRoot(readOnly bool) error {
	before := len(o.mounts)
	for _, p := range o.parts {
		if p.fs == nil {
			continue
		}
		l, err := o.attach(p, readOnly)
		if err != nil {
			return err
		}
		if err := o.mount(l.path(), rootDir, "ext4", untrusted|unix.MS_RDONLY, onError); err != nil {
			return err
		}
		if err := o.openRoot(); err != nil {
			return err
		}
		f, err := o.root.readFile("/etc/os-release")
		if err == nil {
			f.Close()
			o.device, o.uuid = l, p.fs.uuid
			return o.writable(readOnly)
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return fmt.Errorf("cannot read partition %d of the image: %w", p.number, err)
		}
		o.root.Close()
		o.root = root{}
		if err := o.unmount(before); err != nil {
			return err
		}
	}
	return errNoRoot
}

func (o *opened) openRoot() error {
	return o.ns.do(func() error {
		f, err := os.OpenFile(rootDir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		o.root = root{f}
		return err
	})
}

func (o *opened) writable(readOnly bool) error {
	if readOnly {
		return nil
	}
	// Barriers are turned off, because nothing has to be durable before the image is published.
	err := o.ns.do(func() error {
		return unix.Mount("", rootDir, "", unix.MS_REMOUNT|untrusted|unix.MS_NOATIME, "nobarrier,"+onError)
	})
	if err != nil {
		return fmt.Errorf("cannot make the image's root writable: %w", err)
	}
	return nil
}

// mountBoot mounts /boot if the image's fstab has a separate partition for it, as in Ubuntu's cloud images since 24.04.
func (o *opened) mountBoot(readOnly bool) error {
	f, err := o.root.readFile("/etc/fstab")
	if err != nil {
		return nil // there is no fstab, so /boot is not a separate partition
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[1] != "/boot" || strings.HasPrefix(fields[0], "#") {
			continue
		}
		i := slices.IndexFunc(o.parts, func(p partition) bool {
			return p.fs != nil && (fields[0] == "LABEL="+p.fs.label || fields[0] == "UUID="+p.fs.uuid)
		})
		if i < 0 {
			return fmt.Errorf("cannot find the image's /boot: its fstab names %q, but no ext4 partition matches", fields[0])
		}
		l, err := o.attach(o.parts[i], readOnly)
		if err != nil {
			return err
		}
		flags := uintptr(untrusted)
		if readOnly {
			flags |= unix.MS_RDONLY
		}
		return o.mountIn("/boot", l.path(), "ext4", flags, onError)
	}
	return lines.Err()
}

// mountIn mounts a file system on a directory of the image. Links cannot lead out of the image.
func (o *opened) mountIn(dir, source, fstype string, flags uintptr, data string) error {
	d, err := o.root.open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("cannot use the image: its %s is not a directory: %w", dir, err)
	}
	defer d.Close()
	err = o.ns.do(func() error {
		return unix.Mount(source, fmt.Sprintf("/proc/self/fd/%d", d.Fd()), fstype, flags, data)
	})
	if err != nil {
		return fmt.Errorf("cannot mount %s on the image's %s: %w", source, dir, err)
	}
	o.mounts = append(o.mounts, rootDir+dir)
	return nil
}

// run runs a command in the namespace. The command is killed when the image is closed.
func (o *opened) run(cmd *exec.Cmd) error {
	o.running.Add(1)
	defer o.running.Done()
	if err := o.ns.do(cmd.Start); err != nil {
		return err
	}
	done := context.AfterFunc(o.ctx, func() { _ = cmd.Process.Kill() })
	defer done()
	return cmd.Wait()
}

// close unmounts all file systems and frees the loop devices.
func (o *opened) close() error {
	o.stop()
	o.running.Wait()
	if o.root.File != nil {
		o.root.Close()
	}
	err := o.unmount(0)
	for _, l := range o.loops {
		l.Close()
	}
	o.ns.close()
	return err
}
