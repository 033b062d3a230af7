package keepalived

import (
	"os"
	"slices"
	"testing"
)

func TestRunningInFindsKeepalivedOfAControlGroup(t *testing.T) {
	own, err := Cgroup("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := RunningIn("/proc", own+"x"); err != nil || pid != 0 {
		t.Errorf("RunningIn a missing control group: %d, %v", pid, err)
	}
	exporter := start(t, "keepalived_exporter", nil)
	tested := start(t, "keepalived", nil, "-t")
	for _, pid := range []int{exporter.Process.Pid, tested.Process.Pid} {
		if found, err := RunningIn("/proc", own); err != nil || found == pid {
			t.Errorf("RunningIn found %d, %v, which is not the daemon", found, err)
		}
	}
	daemon := start(t, "keepalived", nil)
	if pid, err := RunningIn("/proc", own); err != nil || pid != daemon.Process.Pid {
		t.Errorf("RunningIn found %d, %v, want %d", pid, err, daemon.Process.Pid)
	}
	children := Children("/proc", os.Getpid())
	if len(children) > 0 && !slices.Contains(children, daemon.Process.Pid) {
		t.Errorf("the children are %v, want %d among them", children, daemon.Process.Pid)
	}
	daemon.Process.Kill()
	daemon.Wait()
	if pid, err := RunningIn("/proc", own); err != nil || pid != 0 {
		t.Errorf("RunningIn after the daemon's end: %d, %v", pid, err)
	}
}
