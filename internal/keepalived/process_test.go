package keepalived

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/validator"
)

// start runs a shell as a program with this name, until the test ends.
func start(t *testing.T, name string, attr *syscall.SysProcAttr, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"-c", "read forever", "sh"}, args...)...)
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

func running(t *testing.T) int {
	t.Helper()
	pid, err := Running("/proc")
	if err != nil {
		t.Error(err)
	}
	return pid
}

// inNetwork runs f on a thread in a new network namespace, because the machine's own processes are in another one.
func inNetwork(t *testing.T, f func()) {
	t.Helper()
	needs.Lab(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its namespace end with f
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestRunningFindsProcessesThatMayHoldVIPs(t *testing.T) {
	inNetwork(t, func() {
		start(t, "haproxy", nil)
		start(t, "keepalived_exporter", nil)
		start(t, "keepalived", nil, "-t", "-f", "/etc/keepalived/keepalived.conf")
		start(t, "keepalived", nil, "--config-test=/dev/stdout")
		start(t, "keepalived", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}, "--dont-fork") // in another network namespace, like a container's
		if pid := running(t); pid != 0 {
			t.Errorf("Running found process %d, which is not a keepalived that can hold VIPs here", pid)
		}
		k := start(t, "keepalived", nil, "--dont-fork")
		if pid := running(t); pid != k.Process.Pid {
			t.Errorf("Running found %d, want %d", pid, k.Process.Pid)
		}
		if err := os.Remove(k.Path); err != nil {
			t.Error(err)
		}
		if pid := running(t); pid != k.Process.Pid {
			t.Errorf("after its program was replaced, Running found %d, want %d", pid, k.Process.Pid)
		}
		if err := k.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		if pid := running(t); pid != k.Process.Pid {
			t.Errorf("after SIGSTOP, Running found %d, want %d", pid, k.Process.Pid)
		}
		if err := k.Process.Kill(); err != nil {
			t.Error(err)
		}
		// The test has not waited for the process, so it becomes a zombie.
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(10 * time.Second); running(t) != 0; <-tick.C {
			if time.Now().After(end) {
				t.Error("Running reports a zombie")
				return
			}
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", k.Process.Pid)); err != nil {
			t.Errorf("the process was not a zombie: %v", err)
		}
	})
}

// The messages are from keepalived 2.2.7 and 2.3.3.
func TestMissingInterfacesAreDistinguishedFromErrors(t *testing.T) {
	const missing = `(/etc/keepalived/keepalived.conf: Line 4) WARNING - interface eth9 for vrrp_instance VI_a doesn't exist
(/etc/keepalived/keepalived.conf: Line 9) WARNING - interface eth8 for ip address 192.0.2.1/24 doesn't exist
Non-existent interface specified in configuration`
	tests := map[string]struct {
		verdict  validator.Verdict
		messages string
		want     bool
	}{
		"only that":      {validator.Bad, missing, true},
		"and a keyword":  {validator.Bad, missing + "\n(/etc/keepalived/keepalived.conf: Line 7) Unknown keyword 'prioritty'", false},
		"something else": {validator.Bad, "(/etc/keepalived/keepalived.conf: Line 4) (VI_a) cannot use a loopback interface (lo) for vrrp - ignoring", false},
		"good":           {validator.Good, missing, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := InterfacesAreMissing(validator.Answer{Verdict: tt.verdict, Messages: strings.Split(tt.messages, "\n")}); got != tt.want {
				t.Errorf("InterfacesAreMissing = %v, want %v", got, tt.want)
			}
		})
	}
	if InterfacesAreMissing(validator.Answer{Verdict: validator.Bad}) {
		t.Error("an answer without messages was treated as a missing interface")
	}
}
