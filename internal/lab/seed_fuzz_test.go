package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

// FuzzSeed reads any bytes, starting from a real one, as the volume of a seed. Nothing may be written outside the folder.
func FuzzSeed(f *testing.F) {
	needs.Programs(f, "xorriso")
	dir := f.TempDir()
	content := filepath.Join(dir, "content")
	if err := os.Mkdir(content, 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(content, "user-data"), []byte("#cloud-config\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	volume := filepath.Join(dir, "seed.iso")
	if out, err := exec.CommandContext(context.Background(), "xorriso", "-outdev", "stdio:"+volume, "-volid", "CIDATA", "-map", content, "/", "-padding", "0", "-commit", "-end").CombinedOutput(); err != nil {
		f.Fatalf("%v: %s", err, out)
	}
	seed, err := os.ReadFile(volume)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(16*2048), []byte("CD001"))
	f.Add(uint16(0x9c), []byte("../../../x"))
	f.Add(uint16(0), []byte{})
	f.Fuzz(func(t *testing.T, at uint16, patch []byte) {
		work := t.TempDir()
		target := filepath.Join(work, "into")
		if err := os.Mkdir(target, 0o755); err != nil {
			t.Fatal(err)
		}
		data := append([]byte(nil), seed...)
		// The descriptors and directories come after the first 16 sectors, which are reserved for the system.
		copy(data[min(len(data), 16*2048+int(at)):], patch)
		iso := filepath.Join(work, "seed.iso")
		if err := os.WriteFile(iso, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = extractISO(iso, target) // may return an error
		entries, err := os.ReadDir(work)
		if err != nil || len(entries) != 2 {
			t.Errorf("%v, %v", entries, err)
		}
	})
}
