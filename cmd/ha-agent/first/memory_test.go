package first_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/needs"
)

// mostMemory of a check that keepalived runs every second.
const mostMemory = 6 << 10 // KiB

// TestMemory looks at a check that is about to exit: what it had resident at most is its own then. What wait4(2) tells
// begins with the memory of who started it.
func TestMemory(t *testing.T) {
	runtime.LockOSThread() // one thread alone may trace
	defer runtime.UnlockOSThread()
	cmd := exec.Command(build(t), "check")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	defer func() { _ = cmd.Process.Kill() }()
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil { // it has begun
		t.Fatal(err)
	}
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACEEXIT); err != nil {
		t.Fatal(err)
	}
	signal := 0
	for status.TrapCause() != unix.PTRACE_EVENT_EXIT {
		if err := unix.PtraceCont(pid, signal); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
			t.Fatalf("it does not come to its exit: %v, %v", status, err)
		}
		signal = 0
		if s := status.StopSignal(); s != unix.SIGTRAP {
			signal = int(s)
		}
	}
	about, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var kibibytes int
	_, after, _ := strings.Cut(string(about), "VmHWM:")
	if _, err := fmt.Sscan(after, &kibibytes); err != nil {
		t.Fatalf("%v in %s", err, about)
	}
	t.Logf("%d KiB resident at most", kibibytes)
	if kibibytes > mostMemory {
		t.Errorf("a check has %d KiB resident, want %d at most", kibibytes, mostMemory)
	}
}

// build builds the agent as nodes get it.
func build(t *testing.T) string {
	t.Helper()
	needs.Programs(t) // building the program takes too long for a unit test
	bin := t.TempDir() + "/ha-agent"
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "github.com/hapair/hapair/cmd/ha-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}
