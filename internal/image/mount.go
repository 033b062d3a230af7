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
	// tempDir of the namespace is a tmpfs of its own, so that nothing is left on this machine, whatever ends us.
	tempDir = "/tmp"
	// rootDir is where the image's root is mounted, in the namespace.
	rootDir = tempDir + "/root"
)

const (
	// untrusted are the flags of every mount of an image's file system: its device nodes open nothing, and its set-uid
	// programs run as the user who starts them. Both are kept in the image.
	untrusted = unix.MS_NODEV | unix.MS_NOSUID
	// onError is ext4's option for a damaged file system. The image's own superblock may name another one: panic.
	onError = "errors=remount-ro"
)

// opened is a disk whose file systems are mounted in a namespace of their own.
type opened struct {
	ns     *namespace
	disk   *os.File
	parts  []partition
	loops  []*loop
	device *loop // of the root file system
	uuid   string
	root   root
	mounts []string // in the order in which they were made

	running sync.WaitGroup
	stop    context.CancelFunc
	ctx     context.Context
}

// openDisk mounts a disk's root file system, and its /boot where that is a partition of its own. The ESP is left alone.
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

// mount mounts in the namespace; close takes it away.
func (o *opened) mount(source, target, fstype string, flags uintptr, data string) error {
	err := o.ns.do(func() error { return unix.Mount(source, target, fstype, flags, data) })
	if err != nil {
		return fmt.Errorf("cannot mount %s on %s: %w", source, target, err)
	}
	o.mounts = append(o.mounts, target)
	return nil
}

// A child that this process is just starting elsewhere holds our descriptors from its fork to its exec: then a file
// system is busy for a moment.
const (
	unmountTries = 200
	unmountPause = 10 * time.Millisecond
)

// unmount takes the newest mounts away until keep are left.
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

// attach puts a loop device over a partition; close takes it away.
func (o *opened) attach(p partition, readOnly bool) (*loop, error) {
	l, err := attach(o.disk, p.offset, p.size, readOnly)
	if err == nil {
		o.loops = append(o.loops, l)
	}
	return l, err
}

// mountRoot finds the root: the ext4 partition with an os-release. It is first mounted so that looking changes nothing.
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
			return fmt.Errorf("cannot look into partition %d of the image: %w", p.number, err)
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
	// Without barriers: nothing has to be durable before the image is published.
	err := o.ns.do(func() error {
		return unix.Mount("", rootDir, "", unix.MS_REMOUNT|untrusted|unix.MS_NOATIME, "nobarrier,"+onError)
	})
	if err != nil {
		return fmt.Errorf("cannot make the image's root writable: %w", err)
	}
	return nil
}

// mountBoot mounts /boot where the image's fstab has it as a partition of its own, as Ubuntu's cloud images do since
// 24.04.
func (o *opened) mountBoot(readOnly bool) error {
	f, err := o.root.readFile("/etc/fstab")
	if err != nil {
		return nil // none, and so no /boot of its own
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
			return fmt.Errorf("cannot find the image's /boot: its fstab names %q, and no ext4 partition is that", fields[0])
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

// mountIn mounts on a directory of the image; no link leads it out of the image.
func (o *opened) mountIn(dir, source, fstype string, flags uintptr, data string) error {
	d, err := o.root.open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("cannot use the image: its %s is no directory: %w", dir, err)
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

// run runs a command in the namespace. It is killed when the image is closed.
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

// close unmounts everything and frees the loop devices.
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
