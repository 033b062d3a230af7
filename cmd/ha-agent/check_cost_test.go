package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/needs"
)

// Limits of a check, which keepalived starts every second.
const (
	maxCheckMemory = 10 << 10 // KiB
	maxInitAllocs  = 100      // of a package of this module, when it is initialised
)

// TestPackagesAreInitialisedCheaply counts allocations, because times differ between runs.
func TestPackagesAreInitialisedCheaply(t *testing.T) {
	cmd := exec.Command(build(t), "check")
	cmd.Env = append(cmd.Environ(), "GODEBUG=inittrace=1")
	out, _ := cmd.CombinedOutput() // whether haproxy runs here does not matter
	// One line per package: init NAME @1.2 ms, 0.003 ms clock, 1656 bytes, 40 allocs
	traced := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "init" {
			continue
		}
		traced++
		var allocs int
		_, err := fmt.Sscan(fields[len(fields)-2], &allocs)
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if strings.HasPrefix(fields[1], "github.com/hapair/") && allocs > maxInitAllocs {
			t.Errorf("%s allocates %d times when it is initialised, want at most %d", fields[1], allocs, maxInitAllocs)
		}
	}
	if traced == 0 {
		t.Errorf("no package was traced: %s", out)
	}
}

// TestCheckMemory measures the peak memory of a check when it is about to exit. It does not use wait4(2), whose figure starts
// with the memory of the parent process.
func TestCheckMemory(t *testing.T) {
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
	if kibibytes > maxCheckMemory {
		t.Errorf("the check used %d KiB, want at most %d", kibibytes, maxCheckMemory)
	}
}

// build builds the agent with the flags that are used for nodes.
func build(t *testing.T) string {
	t.Helper()
	needs.Programs(t) // building the program takes too long for a unit test
	bin := t.TempDir() + "/ha-agent"
	gotool.Build(t, bin, ".")
	return bin
}
