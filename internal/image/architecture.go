package image

import (
	"debug/elf"
	"fmt"
	"runtime"
)

// checkArchitecture checks that this machine can run the image's programs. It accepts an image whose shell is not an ELF
// program of a known kind: running the shell then fails with the kernel's error.
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
		return fmt.Errorf("cannot use the base: its architecture is %s, but this machine's is %s: an image must have the architecture of the machine that bakes it", arch, runtime.GOARCH)
	}
	return nil
}
