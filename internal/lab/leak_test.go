package lab_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// childEnv makes this test binary the child process of TestKilled, which has a lab and is killed.
const childEnv = "HAPAIR_LAB_VICTIM"

// TestVictim is the child process of TestKilled, and not a test by itself.
func TestVictim(t *testing.T) {
	config := os.Getenv(childEnv)
	if config == "" {
		return // not started by TestKilled
	}
	var c struct{ Root, Image string }
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		t.Fatal(err)
	}
	fill(t, c.Root, c.Image)
	fmt.Println("victim is ready")
	<-t.Context().Done() // never happens: the process is killed first
}

// fill creates one of everything that a lab can have.
func fill(t *testing.T, root, disk string) (*lab.Lab, *lab.Sandbox) {
	t.Helper()
	ctx := t.Context()
	l, err := lab.New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	directory, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	image, err := l.Image(ctx, disk)
	if err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]*lab.Base{"d": directory, "p": directory, "i": image} {
		h, err := l.AddHost(lab.HostConfig{Name: name, Base: base, Interfaces: []lab.Interface{{Name: "eth3", Network: "n"}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Start(ctx); name != "i" && err != nil { // the image contains no system to boot
			t.Fatal(err)
		}
		if name == "p" {
			if err := h.Pause(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := l.AddClient(ctx, "c", "n", netip.MustParsePrefix("192.0.2.1/24")); err != nil {
		t.Fatal(err)
	}
	sb, err := lab.NewSandbox(ctx, root)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = sb.Command(ctx, "sleep", "600").Run() }()
	return l, sb
}

// traces is what a lab could leave behind on this machine.
type traces struct {
	Mounts, Links, Loops, Cgroups, Processes []string
}

func traceOf(t *testing.T, image string) traces {
	t.Helper()
	lines := func(path string) []string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
	var tr traces
	for _, m := range lines("/proc/self/mountinfo") {
		if strings.Contains(m, "hapair") || strings.Contains(m, "/mnt/hosts") {
			tr.Mounts = append(tr.Mounts, m)
		}
		if fields := strings.Fields(m); strings.Contains(m, " - cgroup2 ") {
			_ = filepath.WalkDir(fields[4], func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "hapair-lab-") {
					tr.Cgroups = append(tr.Cgroups, path)
				}
				return nil
			})
		}
	}
	for _, l := range lines("/proc/net/dev") {
		if name, _, _ := strings.Cut(strings.TrimSpace(l), ":"); strings.HasPrefix(name, "port") || strings.HasPrefix(name, "br0") {
			tr.Links = append(tr.Links, name)
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, l := range loops {
		if data, err := os.ReadFile(l); err == nil && strings.Contains(string(data), image) {
			tr.Loops = append(tr.Loops, l)
		}
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, c := range commands {
		if ns, err := os.Readlink(c); err == nil {
			tr.Processes = append(tr.Processes, ns)
		}
	}
	return tr
}

// TestKilled kills a process that has a lab, and searches for what it left behind.
func TestKilled(t *testing.T) {
	root := labtest.Root(t, "trixie", lab.NodePackages()...)
	image := diskImage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config, _ := json.Marshal(map[string]string{"Root": root, "Image": image})
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestVictim$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		said = append(said, lines.Text())
		if lines.Text() == "victim is ready" {
			break
		}
	}
	prefix := fmt.Sprintf("hapair-lab-%d-", cmd.Process.Pid)
	during := traceOf(t, image)
	if len(during.Loops) != 1 || !strings.Contains(fmt.Sprint(during.Cgroups), prefix) {
		t.Errorf("while it lives: %v: want a loop device and cgroups\n%s", during, strings.Join(said, "\n"))
	}
	namespaces := descendantNamespaces(cmd.Process.Pid)
	if len(namespaces) < 3 {
		t.Errorf("while it lives: %d pid namespaces below it, want hub, host and sandbox", len(namespaces))
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	nothingLeft(ctx, t, image, prefix, namespaces)
}

// TestClosed closes a lab normally.
func TestClosed(t *testing.T) {
	root := labtest.Root(t, "trixie", lab.NodePackages()...)
	image := diskImage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	l, sb := fill(t, root, image)
	namespaces := descendantNamespaces(os.Getpid())
	if len(namespaces) < 3 {
		t.Errorf("%d pid namespaces below this process, want hub, host and sandbox", len(namespaces))
	}
	if err := errors.Join(l.Close(), sb.Close()); err != nil {
		t.Error(err)
	}
	nothingLeft(ctx, t, image, fmt.Sprintf("hapair-lab-%d-", os.Getpid()), namespaces)
}

// nothingLeft waits until nothing is left of a lab whose cgroups' names begin with prefix.
func nothingLeft(ctx context.Context, t *testing.T, image, prefix string, namespaces map[string]bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		after := traceOf(t, image)
		left := slices.Concat(after.Mounts, after.Links, after.Loops)
		for _, c := range after.Cgroups {
			if strings.Contains(c, prefix) {
				left = append(left, c)
			}
		}
		for _, p := range after.Processes {
			if namespaces[p] {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the lab left behind: %q", left)
		}
	}
}

// descendantNamespaces returns the PID namespaces, other than ours, of the descendants of pid.
func descendantNamespaces(pid int) map[string]bool {
	own, _ := os.Readlink("/proc/self/ns/pid")
	found := map[string]bool{}
	var walk func(pid string)
	walk = func(pid string) {
		if ns, err := os.Readlink("/proc/" + pid + "/ns/pid"); err == nil && ns != own {
			found[ns] = true
		}
		tasks, _ := filepath.Glob("/proc/" + pid + "/task/*/children")
		for _, task := range tasks {
			children, _ := os.ReadFile(task)
			for _, child := range strings.Fields(string(children)) {
				walk(child)
			}
		}
	}
	walk(fmt.Sprint(pid))
	return found
}

// diskImage makes a partitioned image with a root that contains little more than /etc.
func diskImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "root/etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "root/etc/os-release"), []byte("ID=debian\nVERSION_CODENAME=trixie\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := `cd "$1" && truncate -s 20M disk.raw && echo '2048,,L' | sfdisk -q disk.raw && mke2fs -q -t ext4 -d root -E offset=1048576 disk.raw 19M`
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("cannot make a disk image: %v\n%s", err, out)
	}
	return filepath.Join(dir, "disk.raw")
}
