package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// writeVMDK writes a raw disk as a compressed VMDK (streamOptimized), the only kind that an OVA may contain. name is the
// final name of the file.
func writeVMDK(ctx context.Context, disk, to *os.File, name string) error {
	digest, err := contentDigest(ctx, disk)
	if err != nil {
		return fmt.Errorf("cannot write a VMDK: %w", err)
	}
	if err := convert(ctx, disk, "raw", to, "vmdk", "-o", "subformat=streamOptimized,adapter_type=lsilogic"); err != nil {
		return err
	}
	id := strings.TrimPrefix(digest, "content-sha256:")[:8]
	if id == "ffffffff" { // this value means that the disk has no parent
		id = "fffffffd"
	}
	return describeVMDK(to, id, name)
}

var (
	vmdkID     = regexp.MustCompile(`(?m)^CID=[0-9a-f]{1,8}$`)
	vmdkExtent = regexp.MustCompile(`(?m)^(RW \d+ SPARSE) "[^"\n]*"$`)
)

// describeVMDK sets the identifier and the file name in the descriptor of a VMDK. qemu-img chooses a random identifier, and
// writes the name of this process's descriptor.
func describeVMDK(f *os.File, id, name string) error {
	text, place, err := vmdkDescriptor(f)
	if err != nil {
		return err
	}
	if !vmdkID.Match(text) || !vmdkExtent.Match(text) {
		return errors.New("cannot read the VMDK: its descriptor lacks the identifier or the extent")
	}
	text = vmdkID.ReplaceAll(text, []byte("CID="+id))
	text = vmdkExtent.ReplaceAllFunc(text, func(line []byte) []byte {
		before, _, _ := bytes.Cut(line, []byte(`"`))
		return fmt.Appendf(nil, `%s"%s"`, before, plainName(name))
	})
	if len(text) > place.size {
		return fmt.Errorf("cannot describe the VMDK: the name %q is too long", name)
	}
	area := make([]byte, place.size)
	copy(area, text)
	if _, err := f.WriteAt(area, place.offset); err != nil {
		return fmt.Errorf("cannot write the VMDK: %w", err)
	}
	return nil
}

// vmdkPlace is where a VMDK has its descriptor, in bytes.
type vmdkPlace struct {
	offset int64
	size   int
}

// vmdkDescriptor reads the descriptor of a VMDK. See VMware's "Virtual Disk Format 5.0" for the header.
func vmdkDescriptor(f *os.File) ([]byte, vmdkPlace, error) {
	header := make([]byte, 44)
	if _, err := f.ReadAt(header, 0); err != nil {
		return nil, vmdkPlace{}, fmt.Errorf("cannot read the VMDK: %w", err)
	}
	le := binary.LittleEndian
	offset, size := le.Uint64(header[28:])*512, le.Uint64(header[36:])*512
	if string(header[:4]) != vmdkMagic || offset == 0 || offset > mib || size > mib {
		return nil, vmdkPlace{}, errors.New("cannot read the VMDK: it has no descriptor at its beginning")
	}
	area := make([]byte, size)
	if _, err := f.ReadAt(area, int64(offset)); err != nil {
		return nil, vmdkPlace{}, fmt.Errorf("cannot read the VMDK: %w", err)
	}
	return bytes.TrimRight(area, "\x00"), vmdkPlace{int64(offset), int(size)}, nil
}

// plainName returns a file name without characters that would have to be quoted in a descriptor or manifest.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+-", r) {
			return r
		}
		return '_'
	}, name)
}
