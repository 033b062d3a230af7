package image

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// partition is a part of a disk. Offset and size are in bytes.
type partition struct {
	number       int
	offset, size int64
	fs           *ext4 // nil if it is not ext4
}

// ext4 has fields of an ext4 superblock; see the kernel's Documentation/filesystems/ext4/super.rst.
type ext4 struct {
	label, uuid   string
	needsRecovery bool
}

// partitions reads a disk's partition table, and the ext4 superblock of each partition.
func partitions(ctx context.Context, disk *os.File) ([]partition, error) {
	out, err := onFile(ctx, disk, "sfdisk", "--json", "/proc/self/fd/3")
	if err != nil {
		return nil, fmt.Errorf("cannot read the image's partition table: %w", err)
	}
	found, err := readTable(out)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].fs, err = readExt4(disk, found[i].offset); err != nil {
			return nil, fmt.Errorf("cannot read partition %d of the image: %w", found[i].number, err)
		}
	}
	return found, nil
}

// readTable parses the output of sfdisk --json for descriptor 3.
func readTable(out []byte) ([]partition, error) {
	var table struct {
		PartitionTable struct {
			SectorSize int64 `json:"sectorsize"`
			Partitions []struct {
				Node        string `json:"node"`
				Start, Size int64
			} `json:"partitions"`
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(out, &table); err != nil {
		return nil, fmt.Errorf("cannot read the image's partition table: %w", err)
	}
	sector := table.PartitionTable.SectorSize
	if sector == 0 {
		sector = 512 // sfdisk omits it for an MBR
	}
	var found []partition
	for _, p := range table.PartitionTable.Partitions {
		part := partition{offset: p.Start * sector, size: p.Size * sector}
		// A node consists of the file's name, a "p" if the name ends in a digit, and the partition's number.
		digits := strings.TrimPrefix(p.Node, "/proc/self/fd/3p")
		if _, err := fmt.Sscanf(digits, "%d", &part.number); err != nil {
			return nil, fmt.Errorf("cannot read the image's partition table: %s has no number", p.Node)
		}
		if sector < 0 || part.offset < 0 || part.size < 0 || p.Start != 0 && part.offset/p.Start != sector || p.Size != 0 && part.size/p.Size != sector {
			return nil, fmt.Errorf("cannot read the image's partition table: partition %d is outside the disk", part.number)
		}
		found = append(found, part)
	}
	return found, nil
}

const (
	superblockOffset = 1024
	ext4Magic        = 0xEF53
	incompatRecover  = 0x4
)

// readExt4 reads the superblock at offset. It returns nil if there is none.
func readExt4(disk *os.File, offset int64) (*ext4, error) {
	sb := make([]byte, 1024)
	if _, err := disk.ReadAt(sb, offset+superblockOffset); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(sb[0x38:]) != ext4Magic {
		return nil, nil
	}
	label, _, _ := strings.Cut(string(sb[0x78:0x88]), "\x00")
	u := sb[0x68:0x78]
	return &ext4{
		label:         label,
		uuid:          fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]),
		needsRecovery: binary.LittleEndian.Uint32(sb[0x60:])&incompatRecover != 0,
	}, nil
}

// checkClean refuses file systems whose journal would be replayed when they are mounted. They are copies of a disk that was
// in use, and lack data that its machine had not written yet.
func checkClean(parts []partition) error {
	for _, p := range parts {
		if p.fs != nil && p.fs.needsRecovery {
			return fmt.Errorf("cannot use the image: the file system on its partition %d was not unmounted (its journal needs recovery): shut down the machine that it was copied from, and copy it again", p.number)
		}
	}
	return nil
}

var errNoRoot = errors.New("cannot use the image: none of its partitions is an ext4 file system with /etc/os-release")
