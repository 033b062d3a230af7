package packages

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/deb"
	"github.com/hapair/hapair/units"
)

// program returns an ELF header, which is all that the packages look at.
func program(t *testing.T, machine elf.Machine) []byte {
	t.Helper()
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAgent(t *testing.T) {
	for machine, arch := range map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"} {
		p, err := Agent(program(t, machine))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Field("Architecture"); got != arch {
			t.Errorf("a program for %v is in a package for %q", machine, got)
		}
		for _, f := range units.Packaged() {
			if !slices.ContainsFunc(p.Files, func(have deb.File) bool { return have.Path == f.Path && bytes.Equal(have.Content, f.Content) }) {
				t.Errorf("the package has no %s", f.Path)
			}
		}
		for _, f := range p.Files {
			if f.Conffile != strings.HasPrefix(f.Path, "/etc/") {
				t.Errorf("%s: Conffile is %v", f.Path, f.Conffile)
			}
		}
	}
	for what, program := range map[string][]byte{"not an ELF file": []byte("#!/bin/sh\n"), "EM_RISCV": program(t, elf.EM_RISCV)} {
		if _, err := Agent(program); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want an error with %q, got %v", what, err)
		}
	}
}
