package process

import (
	"os/exec"
	"testing"
	"time"
)

func TestExitedReportsTheEndOfAProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, done, err := Exited(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	select {
	case <-ended:
		t.Fatal("the end of a running process was reported")
	default:
	}
	cmd.Process.Kill()
	cmd.Wait()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the end of the process was not reported")
	}
	if _, _, err := Exited(cmd.Process.Pid); err == nil {
		t.Error("Exited returned no error for a process that has ended")
	}
}
