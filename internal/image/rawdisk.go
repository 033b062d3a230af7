package image

import (
	"archive/tar"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// rawDisk opens an image as a raw disk. It converts an image in another format to an unnamed file in scratchDir.
func rawDisk(ctx context.Context, file, scratchDir string) (*os.File, error) {
	f, err := openRegular(file)
	if err != nil {
		return nil, fmt.Errorf("cannot open the image: %w", err)
	}
	return rawOf(ctx, f, scratchDir)
}

// rawOf is like rawDisk for an open file. It closes the file or returns it.
func rawOf(ctx context.Context, f *os.File, scratchDir string) (*os.File, error) {
	format, err := formatOf(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	if format == Raw {
		return f, nil
	}
	defer f.Close()
	to, err := newScratch(scratchDir)
	if err != nil {
		return nil, err
	}
	if err := writeRaw(ctx, f, format, to); err != nil {
		to.discard()
		return nil, err
	}
	if to.name != "" {
		_ = os.Remove(to.name) // the open file remains usable
	}
	return to.File, nil
}

// writeRaw writes the disk of an image in another format than Raw.
func writeRaw(ctx context.Context, f *os.File, format Format, to *scratch) error {
	switch format {
	case QCOW2:
		if err := checkSpace(ctx, f, to.dir, 0); err != nil {
			return err
		}
		return copyBase(ctx, f, to.File)
	case VHD:
		return copyVHD(ctx, f, to)
	case VMDK:
		return copyVMDK(ctx, f, to)
	default:
		return copyOVA(ctx, f, to)
	}
}

// Places of the signatures of formats.
const (
	vmdkMagic  = "KDMV"  // at the beginning
	tarMagic   = "ustar" // at tarMagicAt
	tarMagicAt = 257
)

// formatOf returns the format of an image by its content.
func formatOf(f *os.File) (Format, error) {
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot open the image: %w", err)
	}
	head, tail := make([]byte, 512), make([]byte, len(vhdCookie))
	if _, err := f.ReadAt(head, 0); errors.Is(err, io.EOF) {
		return "", errors.New("cannot open the image: it has fewer than 512 bytes")
	} else if err != nil {
		return "", fmt.Errorf("cannot open the image: %w", err)
	}
	if _, err := f.ReadAt(tail, info.Size()-vhdFooter); err != nil {
		return "", fmt.Errorf("cannot open the image: %w", err)
	}
	switch {
	case string(head[:len(qcow2Magic)]) == qcow2Magic:
		return QCOW2, nil
	case string(head[:len(vmdkMagic)]) == vmdkMagic:
		return VMDK, nil
	case string(tail) == vhdCookie:
		return VHD, nil
	case string(head[tarMagicAt:tarMagicAt+len(tarMagic)]) == tarMagic:
		return OVA, nil
	}
	return Raw, nil
}

// copyVHD writes the disk of a fixed VHD, which is everything before its footer.
func copyVHD(ctx context.Context, f *os.File, to *scratch) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot read the VHD: %w", err)
	}
	footer := make([]byte, vhdFooter)
	if _, err := f.ReadAt(footer, info.Size()-vhdFooter); err != nil {
		return fmt.Errorf("cannot read the VHD: %w", err)
	}
	if kind := binary.BigEndian.Uint32(footer[60:]); kind != vhdFixed {
		return fmt.Errorf("cannot read the VHD: it has type %d: must be %d (fixed)", kind, vhdFixed)
	}
	if err := checkSpace(ctx, f, to.dir, 0); err != nil {
		return err
	}
	if err := copySparse(ctx, f, to.File); err != nil {
		return err
	}
	return to.Truncate(info.Size() - vhdFooter)
}

// copyVMDK writes the disk of a VMDK. A VMDK may name other files of this machine, as its parent or as its extents, and
// qemu-img would read them. Therefore only the kind that is one file by definition is read.
func copyVMDK(ctx context.Context, f *os.File, to *scratch) error {
	text, _, err := vmdkDescriptor(f)
	if err != nil {
		return err
	}
	for _, line := range []string{`createType="streamOptimized"`, "parentCID=ffffffff"} {
		if !strings.Contains("\n"+string(text)+"\n", "\n"+line+"\n") {
			return fmt.Errorf("cannot read the VMDK: its descriptor lacks the line %s; only disks that consist of one file are read", line)
		}
	}
	return convert(ctx, f, "vmdk", to.File, "raw")
}

// copyOVA writes the disk of an OVA with one disk.
func copyOVA(ctx context.Context, f *os.File, to *scratch) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("cannot read the OVA: %w", err)
	}
	for r := tar.NewReader(f); ; {
		member, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("cannot read the OVA: it has no file with the extension .vmdk")
		case err != nil:
			return fmt.Errorf("cannot read the OVA: %w", err)
		case member.Typeflag != tar.TypeReg || !strings.HasSuffix(member.Name, ".vmdk"):
			continue
		}
		disk, err := newScratch(to.dir)
		if err != nil {
			return err
		}
		defer disk.discard()
		if _, err := io.Copy(disk, r); err != nil {
			return fmt.Errorf("cannot read the OVA: %w", err)
		}
		return copyVMDK(ctx, disk.File, to)
	}
}
