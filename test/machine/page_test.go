package machine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// qemuBlock matches a command block of docs/machines.md that this test runs.
var qemuBlock = regexp.MustCompile("(?ms)^```sh qemu\n(.*?)^```$")

// TestQEMUPage runs the QEMU commands of docs/machines.md with the files that bake writes for examples/controllers.yaml. On
// their consoles, both nodes must report that they verified themselves.
func TestQEMUPage(t *testing.T) {
	needs.Emulation(t)
	Need(t, UEFI)
	page, err := os.ReadFile("../../docs/machines.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../examples/controllers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := cluster.Build(t, example)
	b.Run(t, "cloud-init", b.Spec, "--release", cluster.Releases(t, "noble")[0], "-o", filepath.Join(b.Dir, "out"))
	b.Run(t, "image", b.Spec, "--release", cluster.Releases(t, "noble")[0], "-o", filepath.Join(b.Dir, "out/controllers.qcow2"))
	var consoles []*console
	for _, m := range qemuBlock.FindAllStringSubmatch(string(page), -1) {
		script := m[1]
		if strings.Contains(script, "qemu-system-x86_64") {
			consoles = append(consoles, start(t, b.Dir, script))
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
		cmd.Dir = b.Dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", script, err, out)
		}
	}
	if len(consoles) != 2 {
		t.Fatalf("the page starts %d machines, want 2", len(consoles))
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	for i, c := range consoles {
		if err := poll.Nil(ctx, time.Second, c.verified); err != nil {
			t.Errorf("machine %d: %v\n%s", i+1, err, c)
		}
	}
}

// console collects a machine's output on its serial port.
type console struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// verified returns an error until cloud-init has finished and the node's verification before that had no failed step.
func (c *console) verified() error {
	text := c.String()
	report := regexp.MustCompile(`(?m)\b(ok|NOT) .*$`).FindAllStringSubmatch(text, -1)
	switch {
	case !regexp.MustCompile(`Cloud-init v\. \S+ finished at`).MatchString(text):
		return fmt.Errorf("cloud-init has not finished")
	case len(report) == 0:
		return fmt.Errorf("the node did not verify itself")
	}
	for _, line := range report {
		if line[1] == "NOT" {
			return fmt.Errorf("the node reports %q", line[0])
		}
	}
	return nil
}

// start runs a script that starts a machine. It runs until the end of the test.
func start(t *testing.T, dir, script string) *console {
	t.Helper()
	c := &console{}
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, c, c
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return c
}
