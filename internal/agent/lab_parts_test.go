package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/testing/gotool"
)

func testVerify(t *testing.T, n *node) {
	out, status, err := n.Run(t.Context(), "ha-agent", "verify")
	if err != nil || status != 0 {
		t.Fatalf("ha-agent verify: exit status %d, %v:\n%s", status, err, out)
	}
	if strings.Contains(out, "no verdict") {
		t.Errorf("verify has no verdict on a file:\n%s", out)
	}
}

func testGoodEdit(t *testing.T, n *node) {
	before, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	n.save(haproxyCfg, n.read(haproxyCfg)+"\nfrontend more\n    mode http\n    bind 192.168.1.32:5001\n    http-request return status 200\n")
	c := n.change(before.LastChange.Number)
	if c.Verdict != journal.Proven || fmt.Sprint(c.Targets) != "[haproxy]" {
		t.Fatalf("change %+v, want haproxy proven", c)
	}
	n.must("sh", "-c", "ss -Hltn 'src 192.168.1.32:5001' | grep -q LISTEN")
	after, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range after.Targets {
		if target.Name == "haproxy" && (target.Generation != c.Number || target.Files[0].State != "good") {
			t.Errorf("the status of haproxy is %+v, want the new generation, good", target)
		}
	}
}

func testRefused(t *testing.T, n *node) {
	before, _ := n.status()
	good, pid := n.read(haproxyCfg), before.HAProxy.PID
	for _, content := range []string{good + "\nfrontend broken\n    bind nonsense\n", ""} {
		s, _ := n.status()
		n.save(haproxyCfg, content)
		if c := n.change(s.LastChange.Number); c.Verdict != journal.Refused || c.Reason == "" {
			t.Fatalf("change %+v, want it refused with a reason", c)
		}
		if n.read(haproxyCfg) != content {
			t.Error("the refused file was changed")
		}
	}
	after, _ := n.status()
	if after.HAProxy.PID != pid || after.Targets[1].Files[0].State != "drift" {
		t.Errorf("the worker is %d, want %d as before; haproxy's files are %+v, want drift", after.HAProxy.PID, pid, after.Targets[1])
	}
	n.save(haproxyCfg, good)
	n.eventually("no drift", func() error {
		if s, err := n.status(); err != nil || s.Targets[1].Files[0].State != "good" {
			return fmt.Errorf("haproxy's files are %+v, %v", s.Targets[1], err)
		}
		return nil
	})
}

// testAddressInUse adds a bind to an address that another program uses. haproxy -c does not notice it, and during a reload
// the old worker would close its own addresses for a while.
func testAddressInUse(t *testing.T, n *node) {
	before, _ := n.status()
	good := n.read(haproxyCfg)
	n.must("systemd-run", "--unit=squatter", "socat", "TCP-LISTEN:5999,bind=192.168.56.101", "-")
	n.eventually("the port is taken", func() error {
		if out, _, err := n.Run(t.Context(), "ss", "-Hltn", "src 192.168.56.101:5999"); err != nil || out == "" {
			return fmt.Errorf("the port is not open: %v", err)
		}
		return nil
	})
	n.save(haproxyCfg, good+"\nfrontend taken\n    mode http\n    bind 192.168.56.101:5999\n")
	c := n.change(before.LastChange.Number)
	if c.Verdict != journal.Refused || !strings.Contains(c.Reason, "192.168.56.101:5999 is taken") {
		t.Fatalf("change %+v, want it refused because of the address", c)
	}
	n.must("systemctl", "stop", "squatter")
	n.save(haproxyCfg, good)
	if err := n.holds(true); err != nil {
		t.Error(err)
	}
}

// testRolledBack adds a socket in a directory where none can be created. Only a worker that starts notices that.
func testRolledBack(t *testing.T, n *node) {
	before, _ := n.status()
	good := n.read(haproxyCfg)
	bad := strings.Replace(good, "global\n", "global\n    stats socket /proc/x.sock\n", 1)
	n.save(haproxyCfg, bad)
	c := n.change(before.LastChange.Number)
	if c.Verdict != journal.RolledBack {
		t.Fatalf("change %+v, want it rolled back", c)
	}
	if n.read(haproxyCfg) != good {
		t.Error("the last known good file was not restored")
	}
	aside := strings.TrimSpace(n.must("sh", "-c", "ls "+haproxyCfg+".rejected-*"))
	if n.read(aside) != bad {
		t.Errorf("%s does not contain the rejected file", aside)
	}
	n.eventually("haproxy answers", func() error {
		s, err := n.status()
		if err == nil && !s.HAProxy.Answers {
			err = fmt.Errorf("haproxy's status is %+v", s.HAProxy)
		}
		return err
	})
	n.eventually("the VIP is held", func() error { return n.holds(true) })
	n.must("rm", aside)
}

func testBothAtOnce(t *testing.T, n *node) {
	before, _ := n.status()
	hap, keep := n.read(haproxyCfg), n.read(keepalivedConf)
	// One process renames both files: between two processes, more time may pass than the agent waits for files to settle.
	n.write(haproxyCfg+".new", 0o640, []byte(hap+"\n# a comment\n"))
	n.write(keepalivedConf+".new", 0o600, []byte(keep+"\nvrrp_instance {\n"))
	n.must("perl", "-e", `for (@ARGV) { rename "$_.new", $_ or die "$_: $!" }`, haproxyCfg, keepalivedConf)
	if c := n.change(before.LastChange.Number); c.Verdict != journal.Refused || fmt.Sprint(c.Targets) != "[haproxy keepalived]" {
		t.Fatalf("change %+v, want haproxy and keepalived refused", c)
	}
	if err := n.holds(true); err != nil {
		t.Error(err)
	}
	after, _ := n.status()
	n.write("/run/k", 0o600, []byte(keep+"\n# a comment\n"))
	n.must("cp", "/run/k", keepalivedConf)
	if c := n.change(after.LastChange.Number); c.Verdict != journal.Proven || fmt.Sprint(c.Targets) != "[haproxy keepalived]" {
		t.Fatalf("change %+v, want haproxy and keepalived proven", c)
	}
	if err := n.holds(true); err != nil {
		t.Error(err)
	}
}

func testNewVIP(t *testing.T, n *node) {
	before, _ := n.status()
	keep := n.read(keepalivedConf)
	n.save(keepalivedConf, strings.Replace(keep, "192.168.1.32/24 dev eth4", "192.168.1.32/24 dev eth4\n        192.168.1.33/24 dev eth4", 1))
	if c := n.change(before.LastChange.Number); c.Verdict != journal.Proven {
		t.Fatalf("change %+v, want it proven", c)
	}
	n.must("sh", "-c", "ip -4 addr show dev eth4 | grep -q 192.168.1.33/24")
	between, _ := n.status()
	n.save(keepalivedConf, keep)
	if c := n.change(between.LastChange.Number); c.Verdict != journal.Proven {
		t.Fatalf("change %+v, want it proven", c)
	}
}

func testStuck(t *testing.T, n *node) {
	n.eventually("the track file reports that haproxy answers", n.track("0"))
	s, _ := n.status()
	pid := fmt.Sprint(s.HAProxy.PID)
	start := time.Now()
	n.must("kill", "-STOP", pid)
	n.eventually("the track file contains 1", n.track("1"))
	t.Logf("reported %v after SIGSTOP", time.Since(start).Round(time.Millisecond))
	n.eventually("the VIP moves away", func() error { return n.holds(false) })
	if out, status, err := n.Run(t.Context(), "ha-agent", "check"); err != nil || status != 1 {
		t.Errorf("ha-agent check: exit status %d, %v: %s", status, err, out)
	}
	n.must("kill", "-CONT", pid)
	n.eventually("the track file contains 0", n.track("0"))
	n.eventually("the VIP is back", func() error { return n.holds(true) })

	start = time.Now()
	n.must("kill", "-KILL", pid)
	n.eventually("the track file contains 1", n.track("1"))
	t.Logf("reported %v after SIGKILL", time.Since(start).Round(time.Millisecond))
	n.eventually("the VIP is back", func() error { return n.holds(true) })
}

func testKilled(t *testing.T, n *node) {
	before := n.settled()
	n.must("systemctl", "kill", "-s", "KILL", "ha-agent")
	n.eventually("systemd has started the agent again", func() error {
		s, err := n.status()
		if err == nil && (!s.Daemon.Running || s.Daemon.PID == before.Daemon.PID) {
			err = fmt.Errorf("the daemon is %+v", s.Daemon)
		}
		return err
	})
	after := n.settled()
	if fmt.Sprint(after.Targets) != fmt.Sprint(before.Targets) || after.LastChange.Number != before.LastChange.Number {
		t.Errorf("the killed agent has targets or changes that differ; before:\n%+v\nafter:\n%+v", before, after)
	}
	if len(after.Instances) != 1 || after.Instances[0].State != "MASTER" {
		t.Errorf("instances %+v, want VI_public as MASTER", after.Instances)
	}
	n.must("systemctl", "stop", "ha-agent")
	if err := n.track("0")(); err != nil {
		t.Error(err)
	}
	dead, err := n.status()
	if err != nil || dead.Daemon.Running || dead.Daemon.Why == "" || !dead.VIPs[0].Held {
		t.Errorf("status without the daemon: %+v, %v; want a reason, and the VIP held", dead, err)
	}
	n.must("systemctl", "start", "ha-agent")
}

// testCost measures the agent at rest: its memory, its processor time over 20 seconds, and how often it wakes up. The agent
// asks haproxy about six times a second, with one or two wake-ups each. A second thread that wakes up each time, or other
// work every second, would be visible in the sum. The test uses the agent as it is shipped: an agent with fault points looks
// for a file each time that it asks haproxy, which costs 16 wake-ups a second. An agent asks for its peers more often during
// the first 30 s as MASTER, so the measurement begins after that.
func testCost(t *testing.T, n *node) {
	n.write("/usr/bin/ha-agent.shipped", 0o755, gotool.Agent(t))
	n.must("sh", "-ec", "mv /usr/bin/ha-agent.shipped /usr/bin/ha-agent; systemctl restart ha-agent")
	settled := n.settled()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := poll.Nil(ctx, time.Second, func() error {
		if since := time.Since(settled.Instances[0].Since); since < 31*time.Second {
			return fmt.Errorf("the instance is MASTER only for %v", since)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprint(settled.Daemon.PID)
	const script = `sed -n 's/VmRSS:\s*\([0-9]*\) kB/\1/p' /proc/$1/status
look() { cat /proc/$1/task/*/schedstat | awk '{n += $1} END {printf "%.0f\n", n}'; awk '/^voluntary_ctxt/ {n += $2} END {print n}' /proc/$1/task/*/status; }
sleep 3; look $1; sleep 20; look $1`
	var rss, before, slept, after, woken int
	out := n.must("sh", "-c", script, "sh", pid)
	if _, err := fmt.Sscan(out, &rss, &before, &slept, &after, &woken); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	resident, cpu, wakeups := float64(rss)*1024/1e6, float64(after-before)/20e9*100, float64(woken-slept)/20 // MB, %, 1/s
	t.Logf("at rest: %.1f MB resident, %.2f %% of a processor, %.0f wake-ups per second", resident, cpu, wakeups)
	if resident > 20 || cpu > 2 || wakeups > 150 {
		t.Errorf("at rest: %.1f MB resident, %.2f %% of a processor, %.0f wake-ups per second; want at most 20 MB, 2 %% (0.5 %% on a machine that is not busy) and 150", resident, cpu, wakeups)
	}
}
