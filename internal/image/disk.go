package image

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// rootLabel is the label of the root file system in Ubuntu's cloud images.
const rootLabel = "cloudimg-rootfs"

// partitionTable is the partition table of a bootstrapped disk, for sfdisk(8). The partition numbers are those of Ubuntu's
// cloud images. The root has number 1 but is the last on the disk, so that it can grow. With BIOS, grub needs a partition
// (14); UEFI firmware starts from the EFI system partition (15).
const partitionTable = `label: gpt
label-id: 6861706b-0000-4000-8000-000000000000
14: start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, uuid=6861706b-0000-4000-8000-00000000000e
15: start=4096, size=131072, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=6861706b-0000-4000-8000-00000000000f
1: start=135168, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=6861706b-0000-4000-8000-000000000001
`

// Offsets and sizes of the table's partitions, in bytes.
const (
	espStart  = 4096 * 512
	espSize   = 131072 * 512
	rootStart = 135168 * 512
)

// format makes an empty disk of a file. Its identifiers are derived from the digest, so that they are reproducible.
func format(ctx context.Context, disk *os.File, size int64, digest string) error {
	if err := disk.Truncate(size); err != nil {
		return fmt.Errorf("cannot make a disk of %d bytes: %w", size, err)
	}
	if err := partitionDisk(ctx, disk, partitionTable); err != nil {
		return err
	}
	const mib = 1 << 20
	kib := (size - rootStart - mib) / 1024 // the last MiB is for the backup partition table
	_, err := onFile(ctx, disk, "mkfs.ext4", "-q", "-F", "-b", "4096", "-L", rootLabel, "-U", uuidOf(digest[:32]),
		"-E", fmt.Sprintf("offset=%d,hash_seed=%s,nodiscard", rootStart, uuidOf(digest[32:])),
		// Turn off features that the kernels of older releases do not support.
		"-O", "^metadata_csum_seed,^orphan_file",
		"/proc/self/fd/3", fmt.Sprintf("%dk", kib))
	if err != nil {
		return fmt.Errorf("cannot make a file system: %w", err)
	}
	return formatESP(ctx, disk, digest[:8])
}

// uuidOf returns a version 4 UUID made from 32 hexadecimal digits.
func uuidOf(h string) string {
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

// partitionDisk writes a partition table with sfdisk. The kernel does not read the table, because the disk is a file.
func partitionDisk(ctx context.Context, disk *os.File, table string, args ...string) error {
	args = append(append([]string{"--quiet", "--no-reread", "--no-tell-kernel"}, args...), "/proc/self/fd/3")
	if _, err := diskLimits.run(ctx, strings.NewReader(table), []*os.File{disk}, "sfdisk", args...); err != nil {
		return fmt.Errorf("cannot partition the disk: %w", err)
	}
	return nil
}

// grow enlarges a disk and its last partition. The file system is enlarged when it is opened.
func grow(ctx context.Context, disk *os.File, size int64) error {
	info, err := disk.Stat()
	if err != nil {
		return err
	}
	if size < info.Size() {
		return fmt.Errorf("cannot make a disk of %d bytes: its base has %d bytes, and a disk cannot shrink", size, info.Size())
	}
	if size == info.Size() {
		return nil
	}
	parts, err := partitions(ctx, disk)
	if err != nil {
		return err
	}
	if err := checkClean(parts); err != nil {
		return err
	}
	if len(parts) == 0 {
		return errNoRoot
	}
	last := parts[0]
	for _, p := range parts {
		if p.offset > last.offset {
			last = p
		}
	}
	if last.fs == nil {
		return fmt.Errorf("cannot enlarge the disk: its last partition, %d, is not ext4", last.number)
	}
	if err := disk.Truncate(size); err != nil {
		return fmt.Errorf("cannot make a disk of %d bytes: %w", size, err)
	}
	if err := partitionDisk(ctx, disk, "", "--relocate", "gpt-bak-std"); err != nil {
		return err
	}
	if err := partitionDisk(ctx, disk, ",+\n", "-N", fmt.Sprint(last.number)); err != nil {
		return err
	}
	return growFS(ctx, disk, last.number)
}

// growFS enlarges the file system of a partition to the size of the partition.
func growFS(ctx context.Context, disk *os.File, number int) error {
	parts, err := partitions(ctx, disk)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.number != number {
			continue
		}
		l, err := attach(disk, p.offset, p.size, false)
		if err != nil {
			return err
		}
		defer l.Close()
		// resize2fs requires a file system that was just checked.
		if _, err := onFile(ctx, l.File, "e2fsck", "-fp", l.path()); err != nil {
			return fmt.Errorf("cannot enlarge the file system: %w", err)
		}
		if _, err := onFile(ctx, l.File, "resize2fs", l.path()); err != nil {
			return fmt.Errorf("cannot enlarge the file system: %w", err)
		}
	}
	return nil
}

// check checks all ext4 file systems of a closed disk for damage.
func check(ctx context.Context, disk *os.File) error {
	parts, err := partitions(ctx, disk)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.fs == nil {
			continue
		}
		if _, err := onFile(ctx, disk, "e2fsck", "-fn", fmt.Sprintf("/proc/self/fd/3?offset=%d", p.offset)); err != nil {
			return fmt.Errorf("cannot use the image: the file system on its partition %d is damaged: %w", p.number, err)
		}
	}
	return nil
}
