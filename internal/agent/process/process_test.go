package process

import (
	"os/exec"
	"testing"
	"time"
)

func TestExitedTellsWhenAProcessEnds(t *testing.T) {
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
		t.Fatal("it has not ended")
	default:
	}
	cmd.Process.Kill()
	cmd.Wait()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("its end was not noticed")
	}
	if _, _, err := Exited(cmd.Process.Pid); err == nil {
		t.Error("a process that is gone can be watched")
	}
}
