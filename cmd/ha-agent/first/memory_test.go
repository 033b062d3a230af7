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

// mostMemory is the limit for the memory of a check, in KiB. keepalived runs one every second.
const mostMemory = 6 << 10 // KiB

// TestMemory measures the peak memory of a check when it is about to exit. wait4(2) is not used, because its figure starts
// with the memory of the parent process.
func TestMemory(t *testing.T) {
	runtime.LockOSThread() // only one thread may trace
	defer runtime.UnlockOSThread()
	cmd := exec.Command(build(t), "check")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	defer func() { _ = cmd.Process.Kill() }()
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil { // the process has started
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
			t.Fatalf("the check does not reach its exit: %v, %v", status, err)
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
	t.Logf("peak resident memory: %d KiB", kibibytes)
	if kibibytes > mostMemory {
		t.Errorf("the check used %d KiB, want at most %d", kibibytes, mostMemory)
	}
}

// build builds the agent with the flags that are used for nodes.
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
