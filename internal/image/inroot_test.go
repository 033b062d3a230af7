package image

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// While a file is renamed anywhere, the kernel refuses ".." under RESOLVE_IN_ROOT with EAGAIN. Callers must not see this
// error.
func TestOpenWhileOthersRename(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"etc", "usr"} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(top, "usr/os-release"), "x")
	link(t, map[string]string{"etc/os-release": "../usr/os-release"})(top)
	dir, err := os.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()

	busy := t.TempDir()
	write(t, filepath.Join(busy, "a"), "")
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
				if err := os.Rename(filepath.Join(busy, names[0]), filepath.Join(busy, names[1])); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer others.Wait()
	defer close(stop)
	for range 2000 {
		f, err := root{dir}.readFile("/etc/os-release")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}
