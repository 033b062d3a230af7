package image

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loop is a loop device for a part of a file. The kernel frees it when its last descriptor is closed and no file system on
// it is mounted: LO_FLAGS_AUTOCLEAR, see loop(4).
type loop struct {
	*os.File
	number       uint32
	offset, size int64
}

func (l *loop) path() string { return fmt.Sprintf("/dev/loop%d", l.number) }

// alias returns the device's name in the image's /dev.
func (l *loop) alias() string { return fmt.Sprintf("hapair%d", l.number) }

// loopMajor is the major device number of loop devices; see the kernel's Documentation/admin-guide/devices.txt.
const loopMajor = 7

// attachTries is the number of attempts to get a free device. Another process may take the device between the query for a
// free one and its use.
const attachTries = 64

// attach sets up a loop device for size bytes of file from offset on; a size of 0 means up to the end of the file. There are
// no devices for its partitions, because they would require udev.
func attach(file *os.File, offset, size int64, readOnly bool) (*loop, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot get a loop device: %w; in a container, make /dev/loop-control available", err)
	}
	defer control.Close()
	for range attachTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("cannot get a loop device: %w", err)
		}
		l, err := openLoop(uint32(n))
		if err != nil {
			return nil, fmt.Errorf("cannot get a loop device: %w", err)
		}
		l.offset, l.size = offset, size
		err = l.configure(file, offset, size, readOnly)
		if err == nil {
			return l, nil
		}
		l.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("cannot set up %s: %w", l.path(), err)
		}
	}
	return nil, errors.New("cannot get a loop device: other processes took every free one")
}

// openLoop opens a loop device. Without udev or devtmpfs, it creates the device node.
func openLoop(n uint32) (*loop, error) {
	l := &loop{number: n}
	f, err := os.OpenFile(l.path(), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		err = unix.Mknod(l.path(), unix.S_IFBLK|0o660, int(unix.Mkdev(loopMajor, n)))
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, err
		}
		f, err = os.OpenFile(l.path(), os.O_RDWR, 0)
	}
	l.File = f
	return l, err
}

func (l *loop) configure(file *os.File, offset, size int64, readOnly bool) error {
	c := unix.LoopConfig{Fd: uint32(file.Fd())}
	c.Info.Offset = uint64(offset)
	c.Info.Sizelimit = uint64(size)
	c.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	if readOnly {
		c.Info.Flags |= unix.LO_FLAGS_READ_ONLY
	}
	return unix.IoctlLoopConfigure(int(l.Fd()), &c)
}
