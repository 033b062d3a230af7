package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/drill"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// drillLimit is generous, because the machine may be busy with other tests.
const drillLimit = 5 * time.Minute

// TestDrill bakes an image, runs a drill with two faults, runs commands on a node while the cluster is kept, and ends the
// drill with an interrupt. Then it interrupts another drill in the middle. Neither may leave anything behind.
func TestDrill(t *testing.T) {
	example, ok := examples.Get("controllers")
	if !ok {
		t.Fatal("there is no example controllers")
	}
	b := cluster.Build(t, example)
	images := &goldenImages{dir: b.Dir, images: map[string]*goldenImage{}}
	golden := images.of(t, b)
	t.Run("against a pair that was set up by hand", func(t *testing.T) {
		needs.InWide(t, "test/afternoon does the same with an imported pair")
		drillAgainst(t, b, golden)
	})
	t.Run("two faults", func(t *testing.T) { drillTwoFaults(t, b, golden) })
	t.Run("interrupted", func(t *testing.T) { drillInterrupted(t, b, golden) })
	t.Run("interrupted after a fault", func(t *testing.T) {
		needs.InWide(t, "the drill that is interrupted earlier has to clean up the same")
		drillInterruptedLater(t, b, golden)
	})
	t.Run("active-active", func(t *testing.T) { drillActiveActive(t, images) })
	t.Run("examples", func(t *testing.T) { drillExamples(t, images) })
}

// goldenImages are the images of a test's specs. Specs whose recipes are equal share one.
type goldenImages struct {
	dir    string // also of the programs and the secrets
	mu     sync.Mutex
	images map[string]*goldenImage // by recipe
}

// goldenImage is an image that the first test that needs it bakes.
type goldenImage struct {
	once sync.Once
	path string
}

// of returns the path of a spec's image.
func (g *goldenImages) of(t *testing.T, b *cluster.Bake) string {
	t.Helper()
	text, err := os.ReadFile(b.Spec)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := json.Marshal(imageOf(t, parseSpec(t, string(text))))
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	image := g.images[string(recipe)]
	if image == nil {
		image = &goldenImage{path: filepath.Join(g.dir, fmt.Sprintf("golden-%d.raw", len(g.images)))}
		g.images[string(recipe)] = image
	}
	g.mu.Unlock()
	image.once.Do(func() { b.Run(t, "image", b.Spec, "--release", "noble", "--format", "raw", "-o", image.path) })
	return image.path
}

// with writes a spec beside the secrets.
func (g *goldenImages) with(t *testing.T, name, text string) *cluster.Bake {
	t.Helper()
	b := &cluster.Bake{Dir: g.dir, Spec: filepath.Join(g.dir, strings.ReplaceAll(name, " ", "-")+".yaml")}
	if err := os.WriteFile(b.Spec, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// oldHAProxy is the haproxy.cfg of both nodes of a pair that was set up by hand.
const oldHAProxy = `defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend keystone
    bind 192.168.1.32:5000
    default_backend keystone
backend keystone
    option httpchk GET /v3
    server c1 192.168.56.101:5000 check
    server c2 192.168.56.102:5000 check
`

// oldKeepalived is keepalived.conf with a tutorial's values; state and priority differ between the nodes.
const oldKeepalived = `vrrp_script chk_haproxy {
    script "pgrep haproxy"
    interval 2
    weight 2
}
vrrp_instance VI_1 {
    interface eth3
    state %s
    virtual_router_id 51
    priority %d
    virtual_ipaddress {
        192.168.1.32/24 dev eth4
    }
    track_script {
        chk_haproxy
    }
}
`

// drillAgainst drills the tutorial's pair and the spec with the same faults. With the old pair, a killed haproxy must cost clients
// more, and a haproxy that hangs must never be noticed; text, page and JSON must have the reasons.
func drillAgainst(t *testing.T, b *cluster.Bake, golden string) {
	old := filepath.Join(b.Dir, "old")
	for i, state := range []string{"MASTER", "BACKUP"} {
		dir := filepath.Join(old, fmt.Sprintf("controller_%d", i+1))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			"haproxy.cfg":     oldHAProxy,
			"keepalived.conf": fmt.Sprintf(oldKeepalived, state, 101-i),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	page, data := filepath.Join(b.Dir, "compare.html"), filepath.Join(b.Dir, "compare.json")
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), drillLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.Dir, "bake"), "drill", b.Spec, "--release", "noble", "--image", golden, "--against", old,
		"--fault", "haproxy-kill,haproxy-stop", "--report", page, "--json-report", data)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bake drill --against: %v\n%s", err, out)
	}
	t.Logf("%v\n%s", time.Since(began).Round(time.Second), out)
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"keystone", "pgrep haproxy", "every 2 s", "only looks for a process"} {
		if !bytes.Contains(html, []byte(want)) || !bytes.Contains(out, []byte(want)) {
			t.Errorf("the page or the text does not contain %q", want)
		}
	}
	var c drill.Comparison
	if text, err := os.ReadFile(data); err != nil || json.Unmarshal(text, &c) != nil || c.Old == nil || len(c.Old.Faults) != 2 || c.New == nil || len(c.New.Faults) != 2 {
		t.Fatalf("the report is %s (%v)", text, err)
	}
	if kill := [2]drill.Millis{c.Old.Faults[0].GapWorst, c.New.Faults[0].GapWorst}; kill[0] < 2*kill[1] {
		t.Errorf("after haproxy was killed, clients of the old pair got no answer for %v ms, of hapair %v ms", kill[0], kill[1])
	}
	if stuck := c.Old.Faults[1]; !stuck.Runs[0].Never || c.New.Faults[1].Runs[0].Never {
		t.Errorf("haproxy stuck: the old pair recovered without repair, or hapair did not: %+v", c.Old.Faults[1])
	}
}

// drillInterrupted checks that the next drill removes the directory of a killed drill, and that an interrupted drill leaves
// nothing.
func drillInterrupted(t *testing.T, b *cluster.Bake, golden string) {
	booting := func(p *drillProcess) func() bool {
		return func() bool { return strings.Contains(strings.Join(p.family(), "\n"), "systemd-nspawn") }
	}
	killed := startDrill(t, b, golden)
	killed.waitFor(t, booting(killed))
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-killed.exited
	if left, err := os.ReadDir(killed.tmp); len(left) != 1 {
		t.Errorf("after a killed drill, the directory for temporary files has %v (%v)", left, err)
	}
	p := startDrillIn(t, killed.tmp, b, golden)
	p.waitFor(t, booting(p))
	if code := p.interrupt(t); code != exitstatus.Failure {
		t.Errorf("exit status %d, want %d\n%s", code, exitstatus.Failure, p.stderr.String())
	}
	if !strings.Contains(p.stderr.String(), "interrupted; everything was removed") {
		t.Errorf("stderr is %s", p.stderr.String())
	}
}

// drillInterruptedLater checks that an interrupt between faults leaves a report of the faults before it. The verdict is not
// good, because not all faults were tested.
func drillInterruptedLater(t *testing.T, b *cluster.Bake, golden string) {
	data := filepath.Join(b.Dir, "interrupted.json")
	p := startDrill(t, b, golden, "--fault", "maintenance,node-crash", "--json-report", data)
	p.waitFor(t, func() bool { return strings.Contains(p.stderr.String(), "\nmaintenance  ") })
	if code := p.interrupt(t); code != exitstatus.Failure {
		t.Errorf("exit status %d, want %d\n%s", code, exitstatus.Failure, p.stderr.String())
	}
	r := readReport(t, data)
	if len(r.Faults) != 1 || !r.Faults[0].Good || r.Good || r.Ended != "the drill ended at fault 2 of 2, node-crash: it was interrupted" {
		t.Errorf("the report has %d faults, good %v, end %q", len(r.Faults), r.Good, r.Ended)
	}
}

func drillTwoFaults(t *testing.T, b *cluster.Bake, golden string) {
	html, data := filepath.Join(b.Dir, "report.html"), filepath.Join(b.Dir, "report.json")
	p := startDrill(t, b, golden, "--fault", "haproxy-kill,bad-config", "--keep", "--report", html, "--json-report", data)
	p.waitFor(t, func() bool { return strings.Contains(p.stderr.String(), "the cluster stays up") })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, command := range [][]string{{"uname", "--nodename"}, {"--", "uname", "-n"}} { // flags after NODE belong to the command
		args := append([]string{"drill", "shell", "controller_1"}, command...)
		out, err := exec.CommandContext(ctx, filepath.Join(b.Dir, "bake"), args...).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "controller-1" {
			t.Errorf("%q on controller_1: %v, %q", command, err, out)
		}
	}
	if code := p.interrupt(t); code != exitstatus.OK {
		t.Errorf("exit status %d, want %d\n%s", code, exitstatus.OK, p.stderr.String())
	}
	r := readReport(t, data)
	if len(r.Faults) != 2 || !r.Good || r.Versions["keepalived"] == "" {
		t.Fatalf("the report is %+v", r)
	}
	kill, config := r.Faults[0], r.Faults[1]
	t.Logf("haproxy killed: new holder after %v ms, gap %v ms; bad config: gap %v ms", kill.MovedMedian, kill.GapWorst, config.GapWorst)
	if kill.Moved != 1 || kill.Runs[0].VIPs[0].After == kill.Runs[0].Struck {
		t.Errorf("killing haproxy did not move the VIP: %+v", kill)
	}
	if config.Moved != 0 {
		t.Errorf("a broken configuration moved the VIP: %+v", config)
	}
	if page, err := os.ReadFile(html); err != nil || !bytes.Contains(page, []byte("haproxy-kill")) {
		t.Errorf("the page does not name the fault (%v)", err)
	}
}

// readReport returns the report that --json-report wrote.
func readReport(t *testing.T, path string) drill.Report {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r drill.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// drillProcess is a running bake drill.
type drillProcess struct {
	cmd    *exec.Cmd
	tmp    string
	image  string
	stderr *lockedBuffer
	exited chan struct{}
}

func startDrill(t *testing.T, b *cluster.Bake, golden string, args ...string) *drillProcess {
	t.Helper()
	return startDrillIn(t, t.TempDir(), b, golden, args...)
}

// startDrillIn starts a drill with tmp as its directory for temporary files.
func startDrillIn(t *testing.T, tmp string, b *cluster.Bake, golden string, args ...string) *drillProcess {
	t.Helper()
	p := &drillProcess{tmp: tmp, image: golden, stderr: &lockedBuffer{}, exited: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(b.Dir, "bake"), append([]string{"drill", b.Spec, "--release", "noble", "--image", golden}, args...)...)
	p.cmd.Env = append(os.Environ(), "TMPDIR="+p.tmp)
	p.cmd.Stderr = p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	return p
}

// waitFor polls until a condition holds for a running drill.
func (p *drillProcess) waitFor(t *testing.T, good func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(20*time.Millisecond), time.After(drillLimit)
	defer tick.Stop()
	for !good() {
		select {
		case <-tick.C:
		case <-p.exited:
			t.Fatalf("the drill ended early:\n%s", p.stderr.String())
		case <-limit:
			t.Fatalf("the condition does not become true:\n%s", p.stderr.String())
		}
	}
}

// interrupt sends SIGINT as ^C does, waits for the end, and checks that nothing is left.
func (p *drillProcess) interrupt(t *testing.T) int {
	t.Helper()
	family := p.family()
	if len(family) < 3 {
		t.Errorf("the drill has too few processes: %q", family)
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		t.Fatalf("the drill does not end:\n%s", p.stderr.String())
	}
	for _, member := range family {
		pid, comm, _ := strings.Cut(member, " ")
		if now, err := os.ReadFile("/proc/" + pid + "/comm"); err == nil && strings.TrimSpace(string(now)) == comm {
			t.Errorf("process still running: %s", member)
		}
	}
	if left, _ := os.ReadDir(p.tmp); len(left) > 0 {
		t.Errorf("left in the directory for temporary files: %v", left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(p.tmp)) {
		t.Errorf("still mounted (%v): %s", err, mounts)
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, loop := range loops {
		if file, _ := os.ReadFile(loop); strings.HasPrefix(string(file), p.image) {
			t.Errorf("loop device %s still uses the image", loop)
		}
	}
	return p.cmd.ProcessState.ExitCode()
}

// family returns the descendants of the drill's process, as IDs and names.
func (p *drillProcess) family() []string {
	children := map[int][]int{}
	names := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		head, tail, ok := strings.Cut(string(text), ") ")
		pidText, comm, ok2 := strings.Cut(head, " (")
		fields := strings.Fields(tail)
		if !ok || !ok2 || len(fields) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(pidText)
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
		names[pid] = comm
	}
	var out []string
	for next := children[p.cmd.Process.Pid]; len(next) > 0; {
		pid := next[0]
		next = append(next[1:], children[pid]...)
		out = append(out, fmt.Sprintf("%d %s", pid, names[pid]))
	}
	return out
}
