package image

import (
	"debug/elf"
	"fmt"
	"runtime"
)

// checkArchitecture makes sure that this machine can run the image's programs. An image whose shell is not an ELF program of
// a known kind is let through: running it fails with the kernel's own reason.
func (w *Work) checkArchitecture() error {
	f, err := w.opened.root.readFile("/bin/sh")
	if err != nil {
		return nil
	}
	defer f.Close()
	program, err := elf.NewFile(f)
	if err != nil {
		return nil
	}
	arch := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[program.Machine]
	if arch == "" {
		arch = program.Machine.String()
	}
	if arch != runtime.GOARCH {
		return fmt.Errorf("cannot use the base: it is for %s, and this machine is %s: an image can only be baked for the machine's own architecture", arch, runtime.GOARCH)
	}
	return nil
}
