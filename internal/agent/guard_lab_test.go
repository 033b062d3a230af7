package agent_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/test/cluster"
)

const (
	sysctlConf = "/etc/sysctl.d/60-hapair.conf"
	ownAddress = "192.168.1.40/24" // an address of the operator, in the subnet of the VIP
)

// TestGuardOnANode breaks files in ways that are noticed only when a service starts, and kills keepalived while it holds the
// VIP.
func TestGuardOnANode(t *testing.T) {
	for _, releaseName := range cluster.Sample(t, "noble", "trixie", "bookworm") {
		t.Run(releaseName, func(t *testing.T) {
			n := newNode(t, releaseName)
			n.settled()
			n.run(t, []part{
				{"a reload of a broken keepalived.conf is refused", testRefusedReload},
				{"keepalived killed on the holder", testKeepalivedKilled},
				{"ha-agent release while keepalived runs", testReleaseByHand},
				{"a stale VIP when keepalived starts", testStaleVIP},
				{"the guard is fast", testGuardIsFast},
				{"one file missing, another empty", testMissingAndEmpty},
				{"a broken include", testBrokenInclude},
				{"all files broken at a reboot", testReboot},
			})
		})
	}
}

func testRefusedReload(t *testing.T, n *node) {
	good := n.read(keepalivedConf)
	n.must("systemctl", "stop", "ha-agent")
	for _, content := range []string{good + "\nvrrp_instance {\n", ""} {
		n.write(keepalivedConf, 0o600, []byte(content))
		if out, status, err := n.Run(t.Context(), "systemctl", "reload", "keepalived"); err != nil || status == 0 {
			t.Errorf("reload of a broken keepalived.conf: status %d, %v, want an error: %s", status, err, out)
		}
		if got := n.read(keepalivedConf); got != content {
			t.Error("keepalived.conf was changed after the edit")
		}
		if err := n.holds(true); err != nil {
			t.Error(err)
		}
	}
	n.write(keepalivedConf, 0o600, []byte(good))
	n.must("systemctl", "reload", "keepalived")
	n.must("systemctl", "start", "ha-agent")
	if out := strings.TrimSpace(n.must("systemctl", "is-active", "keepalived")); out != "active" {
		t.Errorf("keepalived is %s, want active", out)
	}
	if err := n.holds(true); err != nil {
		t.Error(err)
	}
}

// testKeepalivedKilled checks that the VIP is removed from the node before keepalived is started again.
func testKeepalivedKilled(t *testing.T, n *node) {
	n.must("ip", "address", "add", ownAddress, "dev", "eth4")
	for _, signal := range []string{"KILL", "SEGV"} {
		before := strings.Count(n.journal(), removedVIP)
		began := time.Now()
		// The processes are stopped first, so that the child cannot clean up when its parent ends. The child is killed
		// first, because it may notice the end of its parent before the signal to stop. systemctl kill does not work here:
		// its SIGKILL goes to the whole control group, and with systemd 257 it also kills the program of ExecStopPost=.
		n.must("sh", "-euc", `all=$(tac /sys/fs/cgroup$(systemctl show -P ControlGroup keepalived)/cgroup.procs)
			kill -STOP $all
			kill -"$1" $all
			kill -CONT $all 2>/dev/null || true`, "sh", signal)
		n.poll(t, "the VIP is removed", func() error { return n.holds(false) })
		gone := time.Since(began)
		n.poll(t, "the VIP is added again", func() error { return n.holds(true) })
		t.Logf("SIG%s: the VIP was off the node after %v and back after %v", signal, gone.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		said := n.journal()
		if strings.Count(said, removedVIP) != before+1 || strings.LastIndex(said, removedVIP) > strings.LastIndex(said, "Scheduled restart job") {
			t.Errorf("after SIG%s, the VIP was not removed exactly once before keepalived was started again:\n%s", signal, said)
		}
	}
	if out := n.must("ip", "-4", "address", "show", "dev", "eth4"); !strings.Contains(out, ownAddress) {
		t.Errorf("the operator's own address was removed with the VIP:\n%s", out)
	}
	n.must("ip", "address", "del", ownAddress, "dev", "eth4")
}

// removedVIP is the report of ha-agent release or of the daemon, whichever was faster.
const removedVIP = "removed 192.168.1.32/24"

func (n *node) journal() string {
	n.t.Helper()
	return n.must("journalctl", "-b", "-u", "keepalived", "-u", "hapair-release", "-o", "cat")
}

// poll calls done every millisecond until it returns nil.
func (n *node) poll(t *testing.T, what string, done func() error) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; {
		err := done()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v\n%s", what, err, n.Logs(t.Context(), 80))
		}
		<-tick.C
	}
}

func testReleaseByHand(t *testing.T, n *node) {
	n.eventually("the VIP is held", func() error { return n.holds(true) })
	out, status, err := n.Run(t.Context(), "ha-agent", "release")
	if err != nil || status != 1 || !strings.Contains(out, "keepalived runs") {
		t.Errorf("ha-agent release while keepalived runs: status %d, %v: %s", status, err, out)
	}
	if err := n.holds(true); err != nil {
		t.Error(err)
	}
}

func testStaleVIP(t *testing.T, n *node) {
	n.must("systemctl", "stop", "keepalived")
	n.eventually("the VIP is removed", func() error { return n.holds(false) })
	// The VIP is the first address of the subnet. If the kernel removes it without promote_secondaries, it also removes the
	// operator's address.
	n.must("sh", "-euc", "sysctl -qw net.ipv4.conf.eth4.promote_secondaries=0 net.ipv4.conf.all.promote_secondaries=0; ip address add 192.168.1.32/24 dev eth4; ip address add "+ownAddress+" dev eth4; ip address add 192.168.1.32/32 dev eth3")
	out, status, err := n.Run(t.Context(), "ha-agent", "release")
	if err != nil || status != 0 || strings.Count(out, "192.168.1.32/24") != 1 {
		t.Errorf("ha-agent release: status %d, %v: %s", status, err, out)
	}
	left := n.must("ip", "-4", "-o", "address", "show")
	if strings.Contains(left, "192.168.1.32/24") || !strings.Contains(left, ownAddress) || !strings.Contains(left, "192.168.1.32/32") {
		t.Errorf("release must remove only the VIP on eth4. These addresses are left:\n%s", left)
	}
	if v := strings.TrimSpace(n.must("sysctl", "-n", "net.ipv4.conf.eth4.promote_secondaries")); v != "0" {
		t.Errorf("after the release, promote_secondaries is %s, want 0", v)
	}
	n.must("sh", "-euc", "ip address del 192.168.1.32/32 dev eth3; ip address del "+ownAddress+" dev eth4; ip address add 192.168.1.32/24 dev eth4")
	before := strings.Count(n.journal(), removedVIP)
	n.must("systemctl", "start", "keepalived")
	if said := n.journal(); strings.Count(said, removedVIP) != before+1 {
		t.Errorf("the start of keepalived did not remove the stale VIP:\n%s", said)
	}
	n.eventually("the VIP is held", func() error { return n.holds(true) })
}

// testGuardIsFast measures processor time, because other tests may use the machine.
func testGuardIsFast(t *testing.T, n *node) {
	const runs = 10
	for _, name := range []string{"haproxy", "keepalived", "sysctl"} {
		out := n.must("sh", "-euc", `for i in $(seq "$2"); do ha-agent guard "$1"; done; times`, "sh", name, fmt.Sprint(runs))
		// The last line of times is the user and system time of the children: 0m0.030s 0m0.050s.
		var took time.Duration
		lines := strings.Split(strings.TrimSpace(out), "\n")
		for _, field := range strings.Fields(lines[len(lines)-1]) {
			d, err := time.ParseDuration(field)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			took += d / runs
		}
		t.Logf("guard %s: %v", name, took)
		if took > 200*time.Millisecond {
			t.Errorf("guard %s takes %v of processor time although no file has changed, want at most 200 ms", name, took)
		}
	}
	out, status, err := n.Run(t.Context(), "ha-agent", "guard", "nginx")
	if err != nil || status != 2 {
		t.Errorf("guard of an unknown target: status %d, %v, want 2: %s", status, err, out)
	}
}

// rejected returns the content of the only file that was set aside for path, and removes that file.
func (n *node) rejected(path string) string {
	n.t.Helper()
	found := strings.Fields(n.must("sh", "-c", `ls "$1".rejected-*`, "sh", path))
	if len(found) != 1 || !strings.HasSuffix(found[0], "-bad-at-start") {
		n.t.Fatalf("files set aside: %v, want one", found)
	}
	content := n.read(found[0])
	n.must("rm", found[0])
	return content
}

func testMissingAndEmpty(t *testing.T, n *node) {
	hap, keep := n.read(haproxyCfg), n.read(keepalivedConf)
	owners := n.must("stat", "-c", "%a %U %G", haproxyCfg, keepalivedConf)
	n.must("systemctl", "stop", "keepalived", "haproxy", "ha-agent")
	n.must("rm", haproxyCfg)
	n.write(keepalivedConf, 0o600, nil)
	n.must("systemctl", "start", "haproxy", "keepalived", "ha-agent")
	if n.read(haproxyCfg) != hap || n.read(keepalivedConf) != keep {
		t.Error("the last known good files were not restored")
	}
	if after := n.must("stat", "-c", "%a %U %G", haproxyCfg, keepalivedConf); after != owners {
		t.Errorf("mode and owner are %s, want %s", after, owners)
	}
	if got := n.rejected(keepalivedConf); got != "" {
		t.Errorf("the file that was set aside contains %q, want nothing", got)
	}
	n.eventually("the VIP is held", func() error { return n.holds(true) })
	n.eventually("the status shows the rollback", func() error { return n.lastRollback("keepalived", "empty") })
}

// lastRollback checks that the last change is a rollback by a guard.
func (n *node) lastRollback(target, reason string) error {
	s, err := n.status()
	if err == nil && (s.LastChange == nil || s.LastChange.Verdict != journal.RolledBack || fmt.Sprint(s.LastChange.Targets) != "["+target+"]" || !strings.Contains(s.LastChange.Reason, reason)) {
		err = fmt.Errorf("the last change is %+v", s.LastChange)
	}
	return err
}

// testBrokenInclude adds a bad file that the good configuration includes by a pattern. Only this file must be set aside.
func testBrokenInclude(t *testing.T, n *node) {
	before, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	n.must("mkdir", "-p", "/etc/keepalived/conf.d")
	n.write("/etc/keepalived/conf.d/a.conf", 0o600, []byte("# nothing yet\n"))
	n.save(keepalivedConf, n.read(keepalivedConf)+"\ninclude conf.d/*.conf\n")
	if c := n.change(before.LastChange.Number); c.Verdict != journal.Proven {
		t.Fatalf("change %+v, want it proven", c)
	}
	const extra = "/etc/keepalived/conf.d/b.conf"
	n.must("systemctl", "stop", "keepalived", "ha-agent")
	n.write(extra, 0o600, []byte("vrrp_instance {\n"))
	n.must("systemctl", "start", "keepalived", "ha-agent")
	if got := n.rejected(extra); got != "vrrp_instance {\n" {
		t.Errorf("the file that was set aside contains %q", got)
	}
	if _, err := n.ReadFile(extra); err == nil {
		t.Error("the broken include is still there")
	}
	n.eventually("the VIP is held", func() error { return n.holds(true) })
}

// testReboot breaks all files while the agent is stopped, and reboots.
func testReboot(t *testing.T, n *node) {
	n.settled()
	hap, keep, sysctl := n.read(haproxyCfg), n.read(keepalivedConf), n.read(sysctlConf)
	n.must("systemctl", "stop", "ha-agent")
	n.write(haproxyCfg, 0o640, []byte(hap+"\nfrontend broken\n    bind nonsense\n"))
	n.write(keepalivedConf, 0o600, []byte("global_defs {\n"+strings.Repeat("half a file\n", 3)))
	n.write(sysctlConf, 0o644, nil)
	n.must("systemctl", "mask", "systemd-networkd-wait-online") // it waits for a router, and the lab has none
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	if err := n.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	n.eventually("the VIP is held after the reboot", func() error { return n.holds(true) })
	if n.read(haproxyCfg) != hap || n.read(keepalivedConf) != keep || n.read(sysctlConf) != sysctl {
		t.Error("the last known good files were not restored")
	}
	if got := n.rejected(haproxyCfg); !strings.Contains(got, "nonsense") {
		t.Errorf("the haproxy.cfg that was set aside contains %q", got)
	}
	if got := n.rejected(keepalivedConf); !strings.Contains(got, "half a file") {
		t.Errorf("the keepalived.conf that was set aside contains %q", got)
	}
	n.rejected(sysctlConf)
	if v := strings.TrimSpace(n.must("sysctl", "-n", "net.ipv4.ip_nonlocal_bind")); v != "1" {
		t.Errorf("ip_nonlocal_bind is %s, want 1", v)
	}
	n.eventually("haproxy serves the VIP", func() error {
		out, status, err := n.Run(ctx, "ss", "-Hltn", "src", netip.AddrPortFrom(theVIP, 5000).String())
		if err != nil || status != 0 || !strings.Contains(out, "LISTEN") {
			return fmt.Errorf("status %d, %v: %s", status, err, out)
		}
		return nil
	})
	n.eventually("the status shows the rollback", func() error { return n.lastRollback("keepalived", "before a start") })
}
