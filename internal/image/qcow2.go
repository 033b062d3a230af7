package image

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// qcow2Magic is the beginning of a qcow2 image. Offsets below are from qemu's docs/interop/qcow2.txt.
const qcow2Magic = "QFI\xfb"

const (
	qcow2Header      = 104 // bytes of the header of version 3
	qcow2Dirty       = 1 << 0
	qcow2Corrupt     = 1 << 1
	qcow2External    = 1 << 2 // the data is in another file
	qcow2Compression = 1 << 3 // a compression method other than zlib
	qcow2ExtendedL2  = 1 << 4
)

// maxDisk is the maximum size of an image's disk in bytes. It is far more than a golden image needs, and small enough for
// every tool that reads it.
const maxDisk = 2 << 40

// isQCOW2 reports whether a file begins like a qcow2 image.
func isQCOW2(f *os.File) (bool, error) {
	magic := make([]byte, len(qcow2Magic))
	if _, err := f.ReadAt(magic, 0); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("it has fewer than %d bytes", len(qcow2Magic))
		}
		return false, fmt.Errorf("cannot read the base: %w", err)
	}
	return string(magic) == qcow2Magic, nil
}

// checkQCOW2 checks the header before qemu reads the image. An image can refer to another file: any file of this machine, or
// one on the network. Even qemu-img info would open that file.
func checkQCOW2(f *os.File) error {
	h := make([]byte, qcow2Header)
	n, err := f.ReadAt(h, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot read the base: %w", err)
	}
	if n < 72 {
		return errors.New("cannot use the base: its qcow2 header is truncated")
	}
	be := binary.BigEndian
	var features uint64
	switch version := be.Uint32(h[4:]); {
	case version == 2:
	case version == 3 && n == qcow2Header:
		features = be.Uint64(h[72:])
	default:
		return fmt.Errorf("cannot use the base: its qcow2 header has version %d: must be 2 or 3", version)
	}
	const known = qcow2Dirty | qcow2Compression | qcow2ExtendedL2
	switch size := be.Uint64(h[24:]); {
	case be.Uint64(h[8:]) != 0:
		return fmt.Errorf("cannot use the base: it is incomplete, because it has the backing file %q: merge them with qemu-img convert", backingName(f, h))
	case features&qcow2External != 0:
		return errors.New("cannot use the base: it is incomplete, because its data is in another file: merge them with qemu-img convert")
	case features&qcow2Corrupt != 0:
		return errors.New("cannot use the base: it is marked as damaged: see qemu-img check")
	case features&^known != 0:
		return fmt.Errorf("cannot use the base: its qcow2 header has unknown features (%#x)", features&^known)
	case be.Uint32(h[32:]) != 0:
		return errors.New("cannot use the base: it is encrypted")
	case size > maxDisk:
		return fmt.Errorf("cannot use the base: its disk has %d GiB: must be at most %d", size>>30, maxDisk>>30)
	}
	return nil
}

// backingName returns the name of the backing file for a message.
func backingName(f *os.File, header []byte) string {
	name := make([]byte, min(binary.BigEndian.Uint32(header[16:]), 1023))
	n, _ := f.ReadAt(name, int64(binary.BigEndian.Uint64(header[8:])))
	return string(name[:n])
}

// dataSize returns the approximate number of bytes of a base that are not holes, which a raw copy needs.
func dataSize(ctx context.Context, f *os.File) (int64, error) {
	qcow2, err := isQCOW2(f)
	if err != nil {
		return 0, err
	}
	if !qcow2 {
		return blocks(f)
	}
	if err := checkQCOW2(f); err != nil {
		return 0, err
	}
	// A compressed cluster may take a hundredth of the space of its content, so qemu is asked how many clusters are used.
	out, err := qemuImg(ctx, infoLimits, []*os.File{f}, "measure", "-f", "qcow2", "-O", "qcow2", "--output=json", "/proc/self/fd/3")
	if err != nil {
		return 0, fmt.Errorf("cannot read the base: %w", err)
	}
	var size struct {
		Required int64 `json:"required"`
	}
	if err := json.Unmarshal(out, &size); err != nil {
		return 0, fmt.Errorf("cannot read the base: %w", err)
	}
	return size.Required, nil
}

// copyBase writes the base as a raw disk.
func copyBase(ctx context.Context, base, to *os.File) error {
	qcow2, err := isQCOW2(base)
	if err != nil {
		return err
	}
	if !qcow2 {
		return copySparse(ctx, base, to)
	}
	if err := checkQCOW2(base); err != nil {
		return err
	}
	return convert(ctx, base, "qcow2", to, "raw")
}

// convert converts an open file to another with qemu-img.
func convert(ctx context.Context, from *os.File, fromFormat string, to *os.File, toFormat string, args ...string) error {
	args = append(append([]string{"convert", "-f", fromFormat, "-O", toFormat}, args...), "/proc/self/fd/3", "/proc/self/fd/4")
	if _, err := qemuImg(ctx, convertLimits, []*os.File{from, to}, args...); err != nil {
		return fmt.Errorf("cannot convert the image: %w", err)
	}
	return nil
}

var (
	// The limits that OpenStack's services use for "qemu-img info", and some more for slow machines.
	infoLimits = limits{memory: 1 << 30, cpu: 30 * time.Second, wall: 2 * time.Minute, file: 0}
	// Compressing 100 MB takes about one second of processor time. The threads reserve much more memory than they use.
	convertLimits = limits{memory: 4 << 30, cpu: time.Hour, wall: time.Hour, file: maxDisk}
)

// qemuImg runs qemu-img within limits. The files are its descriptors from 3 on.
func qemuImg(ctx context.Context, l limits, files []*os.File, args ...string) ([]byte, error) {
	return l.run(ctx, nil, files, "qemu-img", args...)
}
