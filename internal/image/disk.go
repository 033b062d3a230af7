package image

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// rootLabel is what Ubuntu's cloud images call their root file system.
const rootLabel = "cloudimg-rootfs"

// partitionTable of a bootstrapped disk, for sfdisk(8). The numbers are those of Ubuntu's cloud images: the root is the
// first in number and the last on the disk, so that it can grow. On a BIOS grub needs a partition of its own (14); UEFI
// firmware starts from the EFI system partition (15).
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

// format makes an empty disk of a file. Its identifiers come from the digest, so that they are the same each time.
func format(ctx context.Context, disk *os.File, size int64, digest string) error {
	if err := disk.Truncate(size); err != nil {
		return fmt.Errorf("cannot make a disk of %d bytes: %w", size, err)
	}
	if err := partitionDisk(ctx, disk, partitionTable); err != nil {
		return err
	}
	const mib = 1 << 20
	kib := (size - rootStart - mib) / 1024 // the last MiB is the backup table's
	_, err := onFile(ctx, disk, "mkfs.ext4", "-q", "-F", "-b", "4096", "-L", rootLabel, "-U", uuidOf(digest[:32]),
		"-E", fmt.Sprintf("offset=%d,hash_seed=%s,nodiscard", rootStart, uuidOf(digest[32:])),
		// Made for machines that are older than this one.
		"-O", "^metadata_csum_seed,^orphan_file",
		"/proc/self/fd/3", fmt.Sprintf("%dk", kib))
	if err != nil {
		return fmt.Errorf("cannot make a file system: %w", err)
	}
	return formatESP(ctx, disk, digest[:8])
}

// uuidOf makes a UUID of version 4 of 32 hexadecimal digits.
func uuidOf(h string) string {
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

// partitionDisk writes a table with sfdisk. The kernel is not asked to read it: it is a file.
func partitionDisk(ctx context.Context, disk *os.File, table string, args ...string) error {
	args = append(append([]string{"--quiet", "--no-reread", "--no-tell-kernel"}, args...), "/proc/self/fd/3")
	if _, err := diskLimits.run(ctx, strings.NewReader(table), []*os.File{disk}, "sfdisk", args...); err != nil {
		return fmt.Errorf("cannot partition the disk: %w", err)
	}
	return nil
}

// grow makes a disk and the last partition on it larger. The file system grows when it is opened.
func grow(ctx context.Context, disk *os.File, size int64) error {
	info, err := disk.Stat()
	if err != nil {
		return err
	}
	if size < info.Size() {
		return fmt.Errorf("cannot make the disk %d bytes large: its base has %d, and a disk cannot shrink", size, info.Size())
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
		return fmt.Errorf("cannot make the disk larger: its last partition is %d, and that is no ext4", last.number)
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

// growFS fills a partition with the file system that is in it.
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
		// resize2fs wants a file system that was just checked.
		if _, err := onFile(ctx, l.File, "e2fsck", "-fp", l.path()); err != nil {
			return fmt.Errorf("cannot make the file system larger: %w", err)
		}
		if _, err := onFile(ctx, l.File, "resize2fs", l.path()); err != nil {
			return fmt.Errorf("cannot make the file system larger: %w", err)
		}
	}
	return nil
}

// check makes sure that every ext4 of a closed disk is sound.
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
