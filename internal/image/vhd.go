package image

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

const (
	vhdFooter = 512
	vhdMax    = 2040 << 30 // limit in Microsoft's "Virtual Hard Disk Image Format Specification"
	vhdSector = 512
	vhdCookie = "conectix" // at the beginning of the footer
	vhdFixed  = 2          // the type of a disk that is stored as it is
)

// appendVHDFooter turns a raw disk into a fixed VHD by appending a footer. The same disk gets the same footer: its time is
// in the year 2000, and its identifier is derived from the content.
func appendVHDFooter(ctx context.Context, disk *os.File) error {
	info, err := disk.Stat()
	if err != nil {
		return fmt.Errorf("cannot write a VHD: %w", err)
	}
	digest, err := contentDigest(ctx, disk)
	if err != nil {
		return fmt.Errorf("cannot write a VHD: %w", err)
	}
	id, err := hex.DecodeString(strings.TrimPrefix(digest, "content-sha256:")[:32])
	if err != nil {
		return fmt.Errorf("cannot write a VHD: %w", err)
	}
	footer := newVHDFooter(info.Size(), [16]byte(id))
	if _, err := disk.WriteAt(footer[:], info.Size()); err != nil {
		return fmt.Errorf("cannot write a VHD: %w", err)
	}
	return nil
}

// newVHDFooter returns the footer of a fixed VHD for a disk of whole sectors.
func newVHDFooter(size int64, id [16]byte) [vhdFooter]byte {
	var f [vhdFooter]byte
	be := binary.BigEndian
	copy(f[0:], vhdCookie)
	be.PutUint32(f[8:], 2)           // features: this bit is always set
	be.PutUint32(f[12:], 0x10000)    // version 1.0
	be.PutUint64(f[16:], 1<<64-1)    // no dynamic header
	copy(f[28:], "win ")             // creator: for other creators, qemu computes the size from the geometry, which is rounded
	be.PutUint32(f[32:], 0x000a0000) // version of the creator
	copy(f[36:], "Wi2k")
	be.PutUint64(f[40:], uint64(size))
	be.PutUint64(f[48:], uint64(size))
	cylinders, heads, sectors := vhdGeometry(size / vhdSector)
	be.PutUint16(f[56:], cylinders)
	f[58], f[59] = heads, sectors
	be.PutUint32(f[60:], vhdFixed)
	copy(f[68:], id[:])
	var sum uint32
	for _, b := range f {
		sum += uint32(b)
	}
	be.PutUint32(f[64:], ^sum)
	return f
}

// vhdGeometry returns the CHS geometry of a disk, computed as in the appendix of the specification.
func vhdGeometry(total int64) (cylinders uint16, heads, sectors uint8) {
	total = min(total, 65535*16*255)
	var spt, h, cth int64
	if total >= 65535*16*63 {
		spt, h = 255, 16
		cth = total / spt
	} else {
		spt = 17
		cth = total / spt
		h = max((cth+1023)/1024, 4)
		if cth >= h*1024 || h > 16 {
			spt, h = 31, 16
			cth = total / spt
		}
		if cth >= h*1024 {
			spt, h = 63, 16
			cth = total / spt
		}
	}
	return uint16(cth / h), uint8(h), uint8(spt)
}
