package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Image makes a base of a disk image, raw or qcow2: its largest partition is the root. The image stays as it is.
func (l *Lab) Image(ctx context.Context, path string) (*Base, error) {
	disk, err := openDisk(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("cannot use the image %s: %w", path, err)
	}
	defer disk.Close()
	offset, size, err := rootPartition(ctx, disk)
	if err != nil {
		return nil, fmt.Errorf("cannot use the image %s: %w", path, err)
	}
	loop, err := attachLoop(disk, offset, size)
	if err != nil {
		return nil, fmt.Errorf("cannot use the image %s: %w", path, err)
	}
	defer loop.Close()
	return l.addBase(func(target string) error { return unix.Mount(loop.Name(), target, "ext4", unix.MS_RDONLY, "") })
}

// openDisk opens a raw image, or unpacks a qcow2 one into a file without a name, which goes with its last user.
func openDisk(ctx context.Context, path string) (*os.File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	magic := make([]byte, 4)
	if _, err := in.ReadAt(magic, 0); err != nil || string(magic) != "QFI\xfb" {
		return in, err
	}
	defer in.Close()
	out, err := os.CreateTemp("", "hapair-disk-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(out.Name()) // the loop device keeps the file itself
	if text, err := exec.CommandContext(ctx, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, out.Name()).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot unpack it: %w: %s", err, text), out.Close())
	}
	return out, nil
}

func rootPartition(ctx context.Context, disk *os.File) (offset, size int64, err error) {
	cmd := exec.CommandContext(ctx, "sfdisk", "--json", "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{disk}
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read its partition table: %w", err)
	}
	var t struct {
		PartitionTable struct {
			SectorSize int64
			Partitions []struct{ Start, Size int64 }
		}
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return 0, 0, fmt.Errorf("cannot read its partition table: %w", err)
	}
	sector := t.PartitionTable.SectorSize
	if sector == 0 {
		sector = 512 // sfdisk leaves it out of an MBR's
	}
	for _, p := range t.PartitionTable.Partitions {
		if p.Size*sector > size {
			offset, size = p.Start*sector, p.Size*sector
		}
	}
	if size == 0 {
		return 0, 0, errors.New("it has no partitions")
	}
	return offset, size, nil
}

// attachLoop puts a read-only loop device over a part of a file. The kernel frees it when it is closed and nothing on it
// is mounted: loop(4), LO_FLAGS_AUTOCLEAR.
func attachLoop(file *os.File, offset, size int64) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot get a loop device: %w", err)
	}
	defer control.Close()
	const tries = 64 // between asking for a free device and taking it, somebody else may take it
	for range tries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("cannot get a loop device: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("cannot get a loop device: %w", err)
		}
		c := unix.LoopConfig{Fd: uint32(file.Fd())}
		c.Info.Offset, c.Info.Sizelimit = uint64(offset), uint64(size)
		c.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_READ_ONLY
		if err = unix.IoctlLoopConfigure(int(loop.Fd()), &c); err == nil {
			return loop, nil
		}
		_ = loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("cannot set up %s: %w", loop.Name(), err)
		}
	}
	return nil, errors.New("cannot get a loop device: others take them too fast")
}
