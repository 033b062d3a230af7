package image

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/needs"
)

// qcow2Of creates a qcow2 image with qemu-img, and opens it.
func qcow2Of(t *testing.T, args ...string) *os.File {
	t.Helper()
	needs.Programs(t, "qemu-img")
	file := filepath.Join(t.TempDir(), "base.qcow2")
	out, err := exec.Command("qemu-img", append(append([]string{"create", "-q", "-f", "qcow2"}, args...), file, "64M")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// An image that refers to another file must be refused because of its header, before qemu opens that file.
func TestHostileHeaders(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	write(t, other, strings.Repeat("of this machine\n", 1<<16))
	u32 := func(at int64, v uint32) func(*testing.T, *os.File) {
		return func(t *testing.T, f *os.File) {
			if _, err := f.WriteAt(binary.BigEndian.AppendUint32(nil, v), at); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		args   []string
		change func(*testing.T, *os.File)
		want   string
	}{
		{"backing file", []string{"-b", other, "-F", "raw"}, nil, `it has the backing file "` + other + `"`},
		{"data file", []string{"-o", "data_file=" + filepath.Join(dir, "data")}, nil, "its data is in another file"},
		{"backing file far away", nil, func(t *testing.T, f *os.File) { u32(8, 0x7fffffff)(t, f); u32(16, 0xffffffff)(t, f) }, "it is incomplete"},
		{"version", nil, u32(4, 4), "version 4"},
		{"features", nil, u32(76, 1<<30), "unknown features (0x40000000)"},
		{"damaged", nil, u32(76, qcow2Corrupt), "marked as damaged"},
		{"encrypted", nil, u32(32, 2), "it is encrypted"},
		{"size", nil, u32(24, 1<<20), "its disk has 4194304 GiB: must be at most 2048"},
		{"cut short", nil, func(t *testing.T, f *os.File) { _ = f.Truncate(50) }, "truncated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := qcow2Of(t, c.args...)
			if c.change != nil {
				c.change(t, f)
			}
			if err := checkQCOW2(f); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if _, err := dataSize(t.Context(), f); err == nil {
				t.Error("qemu-img read the image")
			}
		})
	}
	for _, args := range [][]string{nil, {"-o", "compat=0.10"}, {"-o", "compression_type=zstd"}, {"-o", "extended_l2=on"}, {"-o", "lazy_refcounts=on"}} {
		if err := checkQCOW2(qcow2Of(t, args...)); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func FuzzQCOW2Header(f *testing.F) {
	f.Add([]byte(qcow2Magic))
	header := make([]byte, 2*qcow2Header)
	copy(header, qcow2Magic+"\x00\x00\x00\x03")
	f.Add(header)
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := checkQCOW2(in); err != nil {
			return
		}
		if len(data) < 72 || binary.BigEndian.Uint64(data[8:]) != 0 || binary.BigEndian.Uint64(data[24:]) > maxDisk {
			t.Errorf("accepted: %x", data)
		}
	})
}

// A small file may contain a large disk. The free space must be checked before anything is written.
func TestSpaceForACompressedBase(t *testing.T) {
	needs.Lab(t)
	raw := filepath.Join(t.TempDir(), "disk.raw")
	write(t, raw, strings.Repeat("the same all over ", 48<<20/18))
	base := raw + ".qcow2"
	if out, err := exec.Command("qemu-img", "convert", "-c", "-O", "qcow2", raw, base).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := blocks(f); err != nil || n > 4<<20 {
		t.Fatalf("the compressed base takes up %d bytes, %v", n, err)
	}
	if n, err := dataSize(t.Context(), f); err != nil || n < 48<<20 || n > 52<<20 {
		t.Errorf("data: %d bytes, %v; want 48 MiB", n, err)
	}
	dir := smallTmpfs(t, "16m")
	err = checkSpace(t.Context(), f, dir, 0)
	if err == nil || !strings.Contains(err.Error(), "no space left on device: 16 MiB are free, but") {
		t.Errorf("error %v", err)
	}
	if _, err := rawDisk(t.Context(), base, dir); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("unpacked for a lab or a copy: %v", err)
	}
	wantEmpty(t, dir)
}

// The limits must apply to qemu-img.
func TestLimitsOfQemuImg(t *testing.T) {
	f := qcow2Of(t)
	args := []string{"measure", "-f", "qcow2", "-O", "qcow2", "--output=json", "/proc/self/fd/3"}
	if _, err := qemuImg(t.Context(), infoLimits, []*os.File{f}, args...); err != nil {
		t.Errorf("within its limits: %v", err)
	}
	for name, l := range map[string]limits{
		"memory": {memory: 16 << 20, cpu: time.Minute, wall: time.Minute},
		"time":   {memory: infoLimits.memory, cpu: time.Minute, wall: time.Nanosecond},
	} {
		if _, err := qemuImg(t.Context(), l, []*os.File{f}, args...); err == nil {
			t.Errorf("%s: the limit was not applied", name)
		}
	}
	to, err := newScratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer to.discard()
	small := convertLimits
	small.file = 1 << 20
	if _, err := qemuImg(t.Context(), small, []*os.File{f, to.File}, "convert", "-f", "qcow2", "-O", "raw", "/proc/self/fd/3", "/proc/self/fd/4"); err == nil {
		t.Error("qemu-img wrote a file that is larger than its limit")
	}
}
