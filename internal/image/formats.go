package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Formats returns the formats of an image file, the default first.
func Formats() []Format { return []Format{QCOW2, Raw, VMDK, VHD, OVA} }

// FormatNames returns the formats as a text for people: "qcow2, raw, vmdk, vhd or ova".
func FormatNames() string {
	var names []string
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// ParseFormat returns the format with a name. If the name is empty, the extension of the output's name decides; the default
// is QCOW2. The extension .raw also gives QCOW2, as it did before there were other formats.
func ParseFormat(name, output string) (Format, error) {
	if name == "" {
		switch f := Format(strings.ToLower(strings.TrimPrefix(filepath.Ext(output), "."))); f {
		case VMDK, VHD, OVA:
			return f, nil
		default:
			return QCOW2, nil
		}
	}
	if !slices.Contains(Formats(), Format(name)) {
		return "", fmt.Errorf("cannot write an image as %q: the format must be %s", name, FormatNames())
	}
	return Format(name), nil
}

// diskSize returns the size that the disk must have, in bytes, or 0 if the size need not change. Azure accepts only disks of
// whole MiB, and fixed VHDs are for Azure.
func (o *Options) diskSize(disk *os.File) (int64, error) {
	if o.Format != VHD {
		return o.Size, nil
	}
	size := o.Size
	if size == 0 {
		info, err := disk.Stat()
		if err != nil {
			return 0, fmt.Errorf("cannot read the base: %w", err)
		}
		size = info.Size()
	}
	size = (size + mib - 1) / mib * mib
	if size > vhdMax {
		return 0, fmt.Errorf("cannot make a VHD of a disk of %d GiB: must be at most %d GiB", size>>30, int64(vhdMax)>>30)
	}
	return size, nil
}

// result returns the image in its final format. The working copy is consumed.
func (w *Work) result(ctx context.Context) (*scratch, error) {
	disk := w.disk
	w.disk = nil
	var write func(context.Context, *scratch, *scratch) error
	switch w.o.Format {
	case VHD:
		if err := appendVHDFooter(ctx, disk.File); err != nil {
			disk.discard()
			return nil, err
		}
		return disk, nil
	case QCOW2:
		write = func(ctx context.Context, disk, to *scratch) error {
			return convert(ctx, disk.File, "raw", to.File, "qcow2", "-c", "-o", "compression_type=zstd")
		}
	case VMDK:
		write = func(ctx context.Context, disk, to *scratch) error {
			return writeVMDK(ctx, disk.File, to.File, filepath.Base(w.o.Output))
		}
	case OVA:
		write = w.writeOVA
	default:
		return disk, nil
	}
	defer disk.discard()
	to, err := newScratch(disk.dir)
	if err != nil {
		return nil, err
	}
	if err := write(ctx, disk, to); err != nil {
		to.discard()
		return nil, err
	}
	return to, nil
}
