package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/needs"
)

// bootLoaders writes stand-ins for the files of a distribution's packages into a tree, by path. As in Ubuntu, shim is a
// symbolic link.
func bootLoaders(t *testing.T, tree string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		write(t, path, content)
	}
}

// espOf copies the EFI system partition of a disk to a file.
func espOf(t *testing.T, disk string) string {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	esp := filepath.Join(t.TempDir(), "esp")
	to, err := os.Create(esp)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, io.NewSectionReader(f, espStart, espSize)); err != nil {
		t.Fatal(err)
	}
	return esp
}

func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := lookTool(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// The EFI system partition must have the signed boot loaders where firmware and vendor expect them, and grub must find the
// root file system by its UUID.
func TestESP(t *testing.T) {
	needs.Lab(t)
	for distribution, files := range map[string]map[string]string{
		"ubuntu": {
			"usr/lib/shim/shimx64.efi.signed":                   "-> /etc/alternatives/shimx64.efi.signed",
			"etc/alternatives/shimx64.efi.signed":               "-> /usr/lib/shim/shimx64.efi.signed.latest",
			"usr/lib/shim/shimx64.efi.signed.latest":            "the shim",
			"usr/lib/shim/mmx64.efi":                            "the manager",
			"usr/lib/shim/BOOTX64.CSV":                          "shimx64.efi,ubuntu",
			"usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "grub",
		},
		"debian": {
			"usr/lib/shim/shimx64.efi.signed":                   "the shim",
			"usr/lib/shim/mmx64.efi.signed":                     "the manager",
			"usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "grub",
		},
	} {
		t.Run(distribution, func(t *testing.T) {
			disk := toyBase(t, func(tree string) { bootLoaders(t, tree, files) })
			again := disk + ".again"
			runTool(t, "cp", "--sparse=always", disk, again)
			var sums []string
			for _, disk := range []string{disk, again} {
				uuid := fillToyESP(t, disk, distribution)
				esp := espOf(t, disk)
				runTool(t, "fsck.vfat", "-n", esp)
				sums = append(sums, strings.Fields(runTool(t, "sha256sum", esp))[0])
				vendor := "::/EFI/" + distribution
				for path, want := range map[string]string{
					"::/EFI/BOOT/BOOTX64.EFI": "the shim", "::/EFI/BOOT/grubx64.efi": "grub", "::/EFI/BOOT/mmx64.efi": "the manager",
					vendor + "/shimx64.efi": "the shim", vendor + "/grubx64.efi": "grub", vendor + "/mmx64.efi": "the manager",
					vendor + "/grub.cfg": fmt.Sprintf(espConfig, uuid),
				} {
					if got := runTool(t, "mtype", "-i", esp, path); got != want {
						t.Errorf("%s is %q, want %q", path, got, want)
					}
				}
			}
			if sums[0] != sums[1] {
				t.Error("the same input gave two different EFI system partitions")
			}
		})
	}
}

// fillToyESP fills the EFI system partition of a toy base, and returns the UUID of its root file system.
func fillToyESP(t *testing.T, disk, distribution string) string {
	t.Helper()
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o, err := openDisk(context.Background(), f, false)
	if err != nil {
		t.Fatal(err)
	}
	b := &bootstrapper{o: &Options{Release: release.Release{Distribution: distribution}}}
	if err := b.fillESP(context.Background(), o); err != nil {
		t.Error(err)
	}
	uuid := o.uuid
	if err := o.close(); err != nil {
		t.Error(err)
	}
	return uuid
}

// A base without a signed boot loader must be refused, because it would boot on only some machines.
func TestESPWithoutGrub(t *testing.T) {
	disk := toyBase(t, func(tree string) {
		bootLoaders(t, tree, map[string]string{"usr/lib/shim/shimx64.efi.signed": "the shim"})
	})
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o, err := openDisk(context.Background(), f, false)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	b := &bootstrapper{o: &Options{Release: release.Release{Distribution: "debian"}}}
	err = b.fillESP(context.Background(), o)
	const want = "cannot read a boot loader for UEFI: cannot find /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed: file does not exist"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The disk must have the partitions that both kinds of firmware search for by type.
func TestPartitionTypes(t *testing.T) {
	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := format(t.Context(), disk, toySize, strings.Repeat("0123456789abcdef", 4)); err != nil {
		t.Fatal(err)
	}
	table := runTool(t, "sfdisk", "--dump", disk.Name())
	for _, kind := range []string{"21686148-6449-6E6F-744E-656564454649", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"} {
		if !strings.Contains(table, "type="+kind) {
			t.Errorf("no partition has the type %s:\n%s", kind, table)
		}
	}
	magic := make([]byte, 8)
	if _, err := disk.ReadAt(magic, espStart+82); err != nil || !bytes.Equal(magic, []byte("FAT32   ")) {
		t.Errorf("the EFI system partition is %q (%v), want FAT32", magic, err)
	}
}
