package image

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzReadTable parses any text as output of sfdisk. All partitions must have a number and be inside the disk.
func FuzzReadTable(f *testing.F) {
	f.Add([]byte(`{"partitiontable": {"label": "gpt", "sectorsize": 512, "partitions": [{"node": "/proc/self/fd/3p1", "start": 2048, "size": 4096}]}}`))
	f.Add([]byte(`{"partitiontable": {"partitions": [{"node": "/proc/self/fd/3p1", "start": 9223372036854775807, "size": -1}]}}`))
	f.Add([]byte(`{"partitiontable": {"sectorsize": -512, "partitions": [{"node": "/proc/self/fd/3p1", "start": 1, "size": 1}]}}`))
	f.Add([]byte(`{"partitiontable": {"partitions": [{"node": "x"}]}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, out []byte) {
		parts, err := readTable(out)
		if err != nil {
			return
		}
		for _, p := range parts {
			if p.offset < 0 || p.size < 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}

// FuzzReadExt4 reads any bytes as a partition.
func FuzzReadExt4(f *testing.F) {
	disk := make([]byte, superblockOffset+1024)
	f.Add(append([]byte(nil), disk...), int64(0))
	disk[superblockOffset+0x38], disk[superblockOffset+0x39] = 0x53, 0xEF
	f.Add(append([]byte(nil), disk...), int64(0))
	copy(disk[superblockOffset+0x78:], "a label without end")
	disk[superblockOffset+0x60] = incompatRecover
	f.Add(disk, int64(0))
	f.Add(disk, int64(-1))
	f.Add(disk[:1500], int64(512))
	file, err := os.Create(filepath.Join(f.TempDir(), "disk"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	f.Fuzz(func(t *testing.T, disk []byte, offset int64) {
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(disk, 0); err != nil {
			t.Fatal(err)
		}
		fs, err := readExt4(file, offset)
		if err != nil || fs == nil {
			return
		}
		if len(fs.label) > 16 || len(fs.uuid) != 36 {
			t.Errorf("%+v", fs)
		}
		_ = checkClean([]partition{{number: 1, fs: fs}})
	})
}
