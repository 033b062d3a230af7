package image

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loop is a loop device over a part of a file. The kernel frees it by itself when the last of us has closed it and
// nothing on it is mounted any more: LO_FLAGS_AUTOCLEAR, see loop(4).
type loop struct {
	*os.File
	number       uint32
	offset, size int64
}

func (l *loop) path() string { return fmt.Sprintf("/dev/loop%d", l.number) }

// alias is its name in an image's /dev.
func (l *loop) alias() string { return fmt.Sprintf("hapair%d", l.number) }

// loopMajor is the loop devices' major number; see the kernel's Documentation/admin-guide/devices.txt.
const loopMajor = 7

// attachTries bounds the race for a free device: between asking for one and taking it, somebody else may take it.
const attachTries = 64

// attach puts a loop device over size bytes of file from offset on; a size of 0 means to the file's end. No partition
// devices come of it, for they would need udev.
func attach(file *os.File, offset, size int64, readOnly bool) (*loop, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot get a loop device: %w; where this is a container, hand it /dev/loop-control", err)
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
	return nil, errors.New("cannot get a loop device: others take them faster than this program can")
}

// openLoop opens a loop device. Without udev or devtmpfs nobody has made its node.
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
