package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each type of file is real; /dev/zero and /dev/tty are those of this machine.
func TestReadFileRefusesOtherTypes(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 60<<20); err != nil { // sparse
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:        "is a FIFO, not a regular file",
		link:        "is a FIFO, not a regular file",
		socket:      "is a socket, not a regular file",
		dir:         "is a directory, not a regular file",
		"/dev/zero": "is a device, not a regular file",
		huge:        "has 62914560 bytes, which is more than the limit of 2 MiB",
	} {
		began := time.Now()
		data, err := ReadFile(path, 2<<20)
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: took %v", path, took)
		}
		if data != nil || !errors.Is(err, ErrUnusable) || !strings.HasSuffix(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: got %d bytes and the error %v; want one that names the path once and ends with %q", path, len(data), err, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("1234"), 0o640); err != nil {
		t.Fatal(err)
	}
	data, info, err := ReadFileInfo(path, 4)
	if err != nil || string(data) != "1234" || info.Size() != 4 {
		t.Errorf("got %q, %v, %v", data, info, err)
	}
	if _, err := ReadFile(path, 3); !errors.Is(err, ErrUnusable) || !strings.HasSuffix(err.Error(), "has 4 bytes, which is more than the limit of 3 bytes") {
		t.Errorf("got %v", err)
	}
	if _, err := ReadFile(path+"x", 4); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrUnusable) {
		t.Errorf("a missing file: got %v", err)
	}
	// The size of a file in /proc is 0, whatever its content is.
	if _, err := ReadFile("/proc/self/status", 10); !errors.Is(err, ErrUnusable) || !strings.HasSuffix(err.Error(), "has more than the limit of 10 bytes") {
		t.Errorf("a file in /proc: got %v", err)
	}
}
