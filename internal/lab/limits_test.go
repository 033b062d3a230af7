package lab_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// A host's services must have the limits of open files that systemd sets on a real machine, independent of this process's
// limits. A hard limit that may not be raised stays.
func TestOpenFiles(t *testing.T) {
	root := labtest.Root(t, "trixie", lab.StockPackages()...)
	if have, real := lab.OpenFiles(); have == real {
		lower(t)
	}
	hard, _ := lab.OpenFiles()
	l := labtest.Lab(t)
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.AddHost(lab.HostConfig{Name: "node", Base: base})
	if err != nil {
		t.Fatal(err)
	}
	ctx := bounded(t, time.Minute)
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	script := "until systemd-run --quiet --wait --pipe sh -c 'ulimit -Sn; ulimit -Hn' 2>/dev/null; do sleep 0.1; done"
	out, err := h.Must(ctx, "sh", "-c", script)
	if got, want := strings.Join(strings.Fields(out), " "), fmt.Sprint("1024 ", hard); got != want || err != nil {
		t.Errorf("a service has the limits %q, want %q (%v)", got, want, err)
	}
	out, err = h.Must(ctx, "sh", "-c", "ulimit -Hn")
	if got := strings.TrimSpace(out); got != fmt.Sprint(hard) || err != nil {
		t.Errorf("a command has the hard limit %q, want %d (%v)", got, hard, err)
	}
}

// lower gives this process a low limit of open files during the test.
func lower(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before)
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 4096, Max: 4096})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
}
