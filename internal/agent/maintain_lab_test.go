package agent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
)

// ha runs ha-agent, which must end with an exit status, and returns its output.
func (n *node) ha(want int, args ...string) string {
	n.t.Helper()
	out, status, err := n.Run(n.t.Context(), "ha-agent", args...)
	if err != nil || status != want {
		n.t.Fatalf("ha-agent %s: exit status %d, %v, want %d:\n%s\n%s", strings.Join(args, " "), status, err, want, out, n.Logs(n.t.Context(), 40))
	}
	return out
}

func TestMaintenanceOnANode(t *testing.T) {
	nodes := newNodes(t, "trixie", 2)
	a, b := nodes[0], nodes[1]
	a.eventually("one node holds the VIP", func() error {
		if a.holds(true) != nil && b.holds(true) != nil {
			return fmt.Errorf("no node holds the VIP")
		}
		return nil
	})
	if b.holds(true) == nil {
		a, b = b, a
	}
	a.eventually("both can hold the VIP", func() error {
		for _, n := range nodes {
			if s, err := n.status(); err != nil || len(s.Instances) != 1 || !strings.Contains("MASTER BACKUP", s.Instances[0].State) {
				return fmt.Errorf("instances %+v, %v; want one as MASTER or BACKUP", s.Instances, err)
			}
		}
		return nil
	})
	handsOver(t, a, b)
	staysAfterReboot(t, a)
	beginsWithoutTheDaemon(t, a)
	needsAPeer(t, a, b)
}

// handsOver begins the maintenance of the holder, and then tries that of its peer.
func handsOver(t *testing.T, a, b *node) {
	start := time.Now()
	out := a.ha(0, "maintenance", "on")
	t.Logf("handed over in %v: %s", time.Since(start).Round(time.Millisecond), out)
	if err := errors.Join(b.holds(true), a.holds(false), a.track("1")()); err != nil {
		t.Fatal(err)
	}
	// The peer is in maintenance, so the other node has no node to hand over to.
	before, _ := b.status()
	out = b.ha(1, "maintenance", "on")
	if !strings.Contains(out, "--force") {
		t.Errorf("the refusal does not mention --force: %s", out)
	}
	b.eventually("the node has the VIP again", func() error { return b.holds(true) })
	if after, _ := b.status(); after.Maintenance || !before.VIPs[0].Held {
		t.Errorf("after the refusal, the node is in maintenance: %v", after.Maintenance)
	}
}

// staysAfterReboot reboots a node in maintenance. It must still be in maintenance, from the beginning.
func staysAfterReboot(t *testing.T, a *node) {
	if err := a.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.eventually("the agent runs again, in maintenance", func() error {
		s, err := a.status()
		if err == nil && (!s.Daemon.Running || !s.Maintenance || len(s.Instances) != 1 || s.Instances[0].State != "FAULT") {
			err = fmt.Errorf("daemon %+v, maintenance %v, instances %+v", s.Daemon, s.Maintenance, s.Instances)
		}
		return err
	})
	if said := a.must("journalctl", "-b", "-u", "keepalived", "-o", "cat"); strings.Contains(said, "Entering MASTER") {
		t.Error("the node became MASTER during maintenance")
	}
	a.ha(0, "maintenance", "off")
	a.eventually("the instance is BACKUP", func() error {
		s, err := a.status()
		if err == nil && (len(s.Instances) != 1 || s.Instances[0].State != "BACKUP") {
			err = fmt.Errorf("instances %+v", s.Instances)
		}
		return err
	})
}

// beginsWithoutTheDaemon begins maintenance without the daemon, with an end for which the daemon is needed.
func beginsWithoutTheDaemon(t *testing.T, a *node) {
	a.must("systemctl", "stop", "ha-agent")
	a.ha(0, "maintenance", "on", "--for", "1s")
	if err := a.track("1")(); err != nil {
		t.Error(err)
	}
	a.must("systemctl", "start", "ha-agent")
	a.eventually("the maintenance ends", func() error {
		s, err := a.status()
		if err == nil && s.Maintenance {
			err = fmt.Errorf("maintenance lasts until %v", s.MaintenanceUntil)
		}
		return err
	})
}

// needsAPeer switches the peer off. The agent must notice that before it gives the VIP away.
func needsAPeer(t *testing.T, a, b *node) {
	a.Kill()
	if out := b.ha(1, "maintenance", "on"); !strings.Contains(out, "no peer answers") {
		t.Error(out)
	}
	if err := b.holds(true); err != nil {
		t.Error(err)
	}
	if out := b.ha(0, "maintenance", "on", "--force"); !strings.Contains(out, "maintenance is on") {
		t.Error(out)
	}
	if err := b.holds(false); err != nil {
		t.Error(err)
	}
	b.ha(0, "maintenance", "off")
	b.eventually("the node has the VIP again", func() error { return b.holds(true) })
}

// testApply applies files with ha-agent apply.
func testApply(t *testing.T, n *node) {
	hap, keep := n.read(haproxyCfg), n.read(keepalivedConf)
	stage := func(hap, keep string) {
		n.write("/root/stage"+haproxyCfg, 0o644, []byte(hap))
		n.write("/root/stage"+keepalivedConf, 0o644, []byte(keep))
	}
	n.must("chown", "root:haproxy", haproxyCfg)
	stage(hap+"\n# applied\n", keep+"\n# applied\n")
	t.Log(n.ha(0, "apply", "/root/stage"))
	if !strings.HasSuffix(n.read(haproxyCfg), "# applied\n") || !strings.HasSuffix(n.read(keepalivedConf), "# applied\n") {
		t.Error("the applied files were not written")
	}
	if out := strings.TrimSpace(n.must("stat", "-c", "%a %U:%G", haproxyCfg)); out != "640 root:haproxy" {
		t.Errorf("haproxy.cfg has mode and owner %s, want 640 root:haproxy", out)
	}
	stage(hap, keep+"\nvrrp_instance {\n")
	if out := n.ha(1, "apply", "/root/stage"); !strings.Contains(out, "keepalived") {
		t.Error(out)
	}
	if !strings.HasSuffix(n.read(haproxyCfg), "# applied\n") || !strings.HasSuffix(n.read(keepalivedConf), "# applied\n") {
		t.Error("a file of a refused set was not undone")
	}
	stage(hap, keep)
	n.write("/root/stage/etc/shadow", 0o600, []byte("root::1::::::\n"))
	if out := n.ha(1, "apply", "/root/stage"); !strings.Contains(out, "/etc/shadow") {
		t.Error(out)
	}
	n.must("rm", "/root/stage/etc/shadow")
	n.ha(0, "apply", "/root/stage")
	n.ha(0, "apply", "/root/stage") // nothing to do
}

// testKilledAtEachStep kills the agent at each step of a change of two targets.
func testKilledAtEachStep(t *testing.T, n *node) {
	n.write("/run/systemd/system/ha-agent.service.d/soon.conf", 0o644, []byte("[Service]\nRestartSec=100ms\n"))
	n.must("systemctl", "daemon-reload")
	hap, keep := n.read(haproxyCfg), n.read(keepalivedConf)
	unstartable := strings.Replace(hap, "global\n", "global\n    stats socket /proc/x.sock\n", 1)
	n.must("sh", "-c", "rm -f "+haproxyCfg+".rejected-*")
	for i, step := range []string{"begun", "taken haproxy", "proven", "written",
		"set aside", "restored haproxy"} {
		s := n.settled()
		newHap, good := fmt.Sprintf("%s\n# edit %d\n", hap, i), true
		if i >= 4 {
			newHap, good = unstartable+fmt.Sprintf("\n# edit %d\n", i), false
		}
		n.write("/run/ha-agent/faultpoint", 0o600, []byte(step))
		n.write("/run/h", 0o640, []byte(newHap))
		n.write("/run/k", 0o600, fmt.Appendf(nil, "%s\n# edit %d\n", keep, i))
		start := time.Now()
		n.must("sh", "-c", "cat /run/h >"+haproxyCfg+"; cat /run/k >"+keepalivedConf)
		var after control.Status
		n.eventually("the agent was killed at "+step+", and all files are good again", func() (err error) {
			if after, err = n.status(); err != nil {
				return err
			}
			if after.Daemon.PID == s.Daemon.PID || !after.Daemon.Running {
				return fmt.Errorf("the daemon is %+v", after.Daemon)
			}
			for _, target := range after.Targets {
				for _, f := range target.Files {
					if f.State != "good" {
						return fmt.Errorf("%s is %s", f.Path, f.State)
					}
				}
			}
			if _, err := n.ReadFile("/var/lib/ha-agent/change.json"); err == nil {
				return fmt.Errorf("a change has no verdict")
			}
			return n.holds(true)
		})
		isNew := n.read(haproxyCfg) == newHap
		if isNew != strings.HasSuffix(n.read(keepalivedConf), fmt.Sprintf("# edit %d\n", i)) {
			t.Errorf("killed at %s: one file is new and the other old", step)
		}
		if good && !isNew {
			t.Errorf("killed at %s: a good edit was lost", step)
		}
		if isNew && !good {
			t.Errorf("killed at %s: the files with which haproxy cannot start are still there", step)
		}
		t.Logf("killed at %q: all files good %v later, new: %v, last change %d %s", step, time.Since(start).Round(10*time.Millisecond), isNew,
			after.LastChange.Number, after.LastChange.Verdict)
	}
	numbers := map[int]bool{}
	for line := range strings.Lines(n.read("/var/lib/ha-agent/journal.jsonl")) {
		var number int
		if _, err := fmt.Sscanf(line, `{"number":%d,`, &number); err != nil || numbers[number] {
			t.Errorf("the journal has an invalid line or a number twice: %q, %v", line, err)
		}
		numbers[number] = true
	}
	n.must("sh", "-c", "rm -f "+haproxyCfg+".rejected-* "+keepalivedConf+".rejected-*")
}

// testStuckTooLong stops haproxy for longer than the agent tolerates.
func testStuckTooLong(t *testing.T, n *node) {
	n.eventually("the track file reports that haproxy answers", n.track("0"))
	s := n.settled()
	start := time.Now()
	n.must("kill", "-STOP", fmt.Sprint(s.HAProxy.PID))
	n.eventually("haproxy is another process, and answers", func() error {
		now, err := n.status()
		if err == nil && (!now.HAProxy.Answers || now.HAProxy.PID == s.HAProxy.PID) {
			err = fmt.Errorf("haproxy's status is %+v", now.HAProxy)
		}
		return err
	})
	t.Logf("haproxy answers %v after SIGSTOP", time.Since(start).Round(10*time.Millisecond))
	n.eventually("the VIP is back", func() error { return n.holds(true) })
	if said := n.must("journalctl", "-b", "-u", "ha-agent", "-o", "cat"); strings.Count(said, "haproxy has been stuck") != 1 {
		t.Errorf("the journal does not report the stuck haproxy exactly once:\n%s", said)
	}
}
