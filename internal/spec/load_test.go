package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nothing that a spec is made of may block bake: each of these files is a FIFO that nobody writes to, or a device.
func TestReadDoesNotBlockOnWhatIsNotARegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct{ spec, want string }{
		{"", "cannot read the spec: read " + fifo + ": is a FIFO, not a regular file"},
		{small[:strings.Index(small, "services:")] + "haproxy: {config: fifo}\n", "is a FIFO, not a regular file"},
		{small[:strings.Index(small, "services:")] + "haproxy: {config: /dev/zero}\n", "read /dev/zero: is a device, not a regular file"},
		{small + "stats: {user: admin, password: {file: fifo}}\n", "is a FIFO, not a regular file"},
	} {
		path := fifo
		if tt.spec != "" {
			path = filepath.Join(dir, fmt.Sprintf("spec%d.yaml", i))
			write(t, path, tt.spec, 0o644)
		}
		began := time.Now()
		_, problems := Load(path)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", tt.spec, took)
		}
		if !strings.Contains(problems.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.spec, problems, tt.want)
		}
	}
}

func TestReadNamesTheSizeOfASpecThatIsTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge.yaml")
	write(t, path, "", 0o644)
	if err := os.Truncate(path, 60<<20); err != nil {
		t.Fatal(err)
	}
	s, problems, err := Read(path)
	if s != nil || err != nil || !strings.Contains(problems.Error(), "huge.yaml:1:1: error: the file has 62914560 bytes, which is more than the limit of 2 MiB") {
		t.Errorf("got %v, %v, %v", s, problems, err)
	}
}

// A shell hands a spec in as a pipe: bake validate <(…).
func TestReadTakesASpecFromAPipeOfTheShell(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		w.WriteString(small)
		w.Close()
	}()
	if _, problems := Load(fmt.Sprintf("/dev/fd/%d", r.Fd())); problems.HasErrors() {
		t.Errorf("got %v", problems)
	}
}
