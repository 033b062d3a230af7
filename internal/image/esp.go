package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/hapair/hapair/internal/release"
)

// espLabel is the label of the EFI system partition in Ubuntu's cloud images.
const espLabel = "UEFI"

// formatESP makes an empty FAT file system in the EFI system partition of a new disk, with a serial number of 8 hexadecimal
// digits. It uses FAT32, which every firmware must support (UEFI 2.10, 13.3). FAT32 needs more than 65524 clusters.
func formatESP(ctx context.Context, disk *os.File, serial string) error {
	// --invariant must be first, because it also sets a serial number.
	_, err := onFile(ctx, disk, "mkfs.vfat", "--invariant", "-F", "32", "-S", "512", "-s", "1", "-n", espLabel, "-i", serial,
		fmt.Sprintf("--offset=%d", espStart/512), "/proc/self/fd/3", fmt.Sprint(espSize/1024))
	if err != nil {
		return fmt.Errorf("cannot make the EFI system partition: %w", err)
	}
	return nil
}

// espFile is a file of the EFI system partition, and the paths at which packages install it. The first existing path is
// used.
type espFile struct {
	path     string
	from     []string
	optional bool
}

// espFiles returns the signed boot loaders. Firmware without a boot entry, such as that of a new virtual machine, starts
// EFI/BOOT/BOOTX64.EFI (UEFI 2.10, 3.5.1.1). This is the shim, which starts grubx64.efi in the same directory. Packages
// update the boot loaders in the vendor's directory.
func espFiles(r release.Release) []espFile {
	const shim, lib = "/usr/lib/shim/shimx64.efi.signed", "/usr/lib/shim/"
	manager := []string{lib + "mmx64.efi.signed", lib + "mmx64.efi"} // names in Debian and in Ubuntu
	grub := []string{"/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"}
	vendor := "EFI/" + r.Distribution
	return []espFile{
		{path: "EFI/BOOT/BOOTX64.EFI", from: []string{shim}},
		{path: "EFI/BOOT/grubx64.efi", from: grub},
		{path: "EFI/BOOT/mmx64.efi", from: manager, optional: true},
		{path: vendor + "/shimx64.efi", from: []string{shim}},
		{path: vendor + "/grubx64.efi", from: grub},
		{path: vendor + "/mmx64.efi", from: manager, optional: true},
		{path: vendor + "/BOOTX64.CSV", from: []string{lib + "BOOTX64.CSV"}, optional: true},
	}
}

// espConfig makes grub read the configuration that update-grub writes. The signed grub reads espConfig from the vendor's
// directory. The %s is the UUID of the root file system.
const espConfig = `search.fs_uuid %s root
set prefix=($root)'/boot/grub'
configfile $prefix/grub.cfg
`

// fillESP copies the boot loaders from the root file system. It uses mtools, because this machine's kernel may not support
// vfat.
func (b *bootstrapper) fillESP(ctx context.Context, o *opened) error {
	vendor := "EFI/" + b.o.Release.Distribution
	if err := mtools(ctx, o.disk, nil, "mmd", "::/EFI", "::/EFI/BOOT", "::/"+vendor); err != nil {
		return err
	}
	for _, f := range espFiles(b.o.Release) {
		content, err := o.firstFile(f.from)
		if errors.Is(err, fs.ErrNotExist) && f.optional {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read a boot loader for UEFI: %w", err)
		}
		if err := mtools(ctx, o.disk, content, "mcopy", "-", "::/"+f.path); err != nil {
			return err
		}
	}
	config := fmt.Appendf(nil, espConfig, o.uuid)
	return mtools(ctx, o.disk, config, "mcopy", "-", "::/"+path.Join(vendor, "grub.cfg"))
}

// espFileLimit is the maximum size of a boot loader; shim has 1 MB and grub 3 MB.
const espFileLimit = 16 << 20

// firstFile reads the first of the paths that exists in the image.
func (o *opened) firstFile(paths []string) ([]byte, error) {
	for _, p := range paths {
		f, err := o.root.readFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, espFileLimit))
	}
	return nil, fmt.Errorf("cannot find %s: %w", strings.Join(paths, " or "), fs.ErrNotExist)
}

// mtools runs one of the mtools on the EFI system partition of a disk; see mtools(1). Files get the earliest date that FAT
// supports.
func mtools(ctx context.Context, disk *os.File, stdin []byte, tool string, args ...string) error {
	args = append([]string{"SOURCE_DATE_EPOCH=315532800", tool, "-i", fmt.Sprintf("/proc/self/fd/3@@%d", espStart)}, args...)
	if _, err := diskLimits.run(ctx, bytes.NewReader(stdin), []*os.File{disk}, "env", args...); err != nil {
		return fmt.Errorf("cannot write the EFI system partition: %s: %w", tool, err)
	}
	return nil
}
