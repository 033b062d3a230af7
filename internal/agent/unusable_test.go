package agent

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/keepalived"
)

// unusables put something else than a regular file of a bounded size at a path.
var unusables = map[string]func(path string) error{
	"a FIFO":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
	"a device":    func(p string) error { return os.Symlink("/dev/zero", p) },
	"a directory": func(p string) error { return os.Mkdir(p, 0o700) },
	"a socket": func(p string) error {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		return l.Close()
	},
	"too large": func(p string) error {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			return err
		}
		return os.Truncate(p, 1<<40)
	},
}

// within fails if work takes longer than anything but a blocked reader needs.
func within(t *testing.T, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it hangs")
	}
}

func TestAGuardReplacesWhatIsNotARegularFile(t *testing.T) {
	for name, put := range unusables {
		t.Run(name, func(t *testing.T) {
			for _, certificate := range []bool{false, true} {
				g := newGuarded(t)
				g.prove("haproxy")
				path := g.conf
				if certificate {
					path = g.cert
				}
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				within(t, func() {
					if err := g.BeforeReload(t.Context(), "haproxy"); err == nil || !strings.Contains(err.Error(), path) {
						t.Errorf("the reload is not refused by name: %v", err)
					}
					if err := g.BeforeStart(t.Context(), "haproxy"); err != nil {
						t.Error(err)
					}
				})
				g.want(path, "good")
				if a := g.aside(); len(a) != 1 || !strings.HasPrefix(a[0], path) {
					t.Errorf("set aside: %v", a)
				}
			}
		})
	}
}

func TestAChangeToWhatIsNotARegularFileIsRefused(t *testing.T) {
	for name, put := range unusables {
		t.Run(name, func(t *testing.T) {
			bn := newBench(t)
			if err := os.Remove(bn.a.file); err != nil {
				t.Fatal(err)
			}
			if err := put(bn.a.file); err != nil {
				t.Fatal(err)
			}
			within(t, func() {
				ch, err := bn.round()
				if err != nil || ch == nil || ch.Verdict != control.Refused || !strings.Contains(ch.Reason, bn.a.file) {
					t.Errorf("got %+v, %v", ch, err)
				}
				if ch, err := bn.round(); ch != nil || err != nil {
					t.Errorf("it is judged again: %+v, %v", ch, err)
				}
			})
			bn.runsOn("a1", "b1")
			// A regular file is taken over again.
			if err := os.Remove(bn.a.file); err != nil {
				t.Fatal(err)
			}
			bn.write(bn.a, "a2")
			bn.expect(control.Proven, "a")
			bn.runsOn("a2", "b1")
		})
	}
}

// The services were being taken through a change when the agent died, and then the file became something else.
func TestARollbackSetsAsideWhatIsNotARegularFile(t *testing.T) {
	for name, put := range unusables {
		t.Run(name, func(t *testing.T) {
			bn := newBench(t)
			bn.write(bn.a, "a2")
			if !bn.killedAt("taken a", func() { bn.round() }) {
				t.Fatal("the agent did not die")
			}
			if err := os.Remove(bn.a.file); err != nil {
				t.Fatal(err)
			}
			if err := put(bn.a.file); err != nil {
				t.Fatal(err)
			}
			within(t, func() {
				bn.restart()
				bn.rest()
			})
			bn.runsOn("a1", "b1")
			if aside, _ := filepath.Glob(bn.a.file + ".rejected-*"); len(aside) != 1 {
				t.Errorf("set aside: %v", aside)
			}
		})
	}
}

// An apply without a verdict is taken back at the next start, which must come also if its file is a FIFO by then.
func TestAnAgentStartsThoughAFileOfAnApplyIsAFIFO(t *testing.T) {
	bn := newBench(t)
	if err := bn.store.Stage(store.Staged{Number: 9, Files: []store.StagedFile{{Path: bn.a.file, New: "x", Was: true}}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(bn.a.file); err != nil {
		t.Fatal(err)
	}
	if err := unusables["a FIFO"](bn.a.file); err != nil {
		t.Fatal(err)
	}
	within(t, bn.restart)
}

func TestIncludesOfIncludesAreFilesOfTheTarget(t *testing.T) {
	g := newGuarded(t)
	dir := filepath.Dir(g.keep)
	g.put(g.keep, "include a.conf\n", 0o600)
	g.put(filepath.Join(dir, "a.conf"), "include sub/*.conf\ninclude a.conf\n", 0o600)
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.put(filepath.Join(dir, "sub", "b.conf"), "include c.conf\n", 0o600)
	c := filepath.Join(dir, "sub", "c.conf")
	if err := syscall.Mkfifo(c, 0o600); err != nil {
		t.Fatal(err)
	}
	within(t, func() {
		if err := g.BeforeReload(t.Context(), "keepalived"); err == nil || !strings.Contains(err.Error(), c+": is a FIFO") {
			t.Errorf("got %v", err)
		}
	})
}

func TestATrackFileThatIsAFIFOIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "haproxy.track")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	within(t, func() {
		if err := keepalived.WriteTrackFile(path, "1\n"); err != nil {
			t.Error(err)
		}
	})
	if b, err := os.ReadFile(path); string(b) != "1\n" {
		t.Errorf("%q, %v", b, err)
	}
}
