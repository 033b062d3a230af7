package agent_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

const (
	sysctlConf = "/etc/sysctl.d/60-hapair.conf"
	ownAddress = "192.168.1.40/24" // the user's, in the subnet of the VIP
)

// TestStartsOfANode breaks files of a real node where only the start of a service notices, and takes keepalived away from
// its VIPs.
func TestStartsOfANode(t *testing.T) {
	for _, releaseName := range []string{"trixie", "bookworm"} {
		t.Run(releaseName, func(t *testing.T) {
			n := newNode(t, releaseName)
			n.settled()
			for _, part := range []struct {
				name string
				test func(t *testing.T, n *node)
			}{
				{"a reload of a broken keepalived.conf is refused", testRefusedReload},
				{"keepalived killed on the holder", testKeepalivedKilled},
				{"release by hand beside a running keepalived", testReleaseByHand},
				{"a stale VIP at start", testStaleVIP},
				{"a guard is fast when all is well", testGuardIsFast},
				{"a file missing, another empty", testMissingAndEmpty},
				{"a broken include", testBrokenInclude},
				{"all three broken at a reboot", testReboot},
			} {
				t.Run(part.name, func(t *testing.T) {
					part.test(t, &node{n.Host, t})
				})
			}
		})
	}
}

func testRefusedReload(t *testing.T, n *node) {
	good := n.read(keepalivedConf)
	n.must("systemctl", "stop", "ha-agent")
	for _, content := range []string{good + "\nvrrp_instance {\n", ""} {
		n.write(keepalivedConf, 0o600, []byte(content))
		if out, status, err := n.Run(t.Context(), "systemctl", "reload", "keepalived"); err != nil || status == 0 {
			t.Errorf("the reload ended with status %d, %v: %s", status, err, out)
		}
		if got := n.read(keepalivedConf); got != content {
			t.Error("the file is not as the editor left it")
		}
		if err := n.holds(true); err != nil {
			t.Error(err)
		}
	}
	n.write(keepalivedConf, 0o600, []byte(good))
	n.must("systemctl", "reload", "keepalived")
	n.must("systemctl", "start", "ha-agent")
	if out := strings.TrimSpace(n.must("systemctl", "is-active", "keepalived")); out != "active" {
		t.Errorf("keepalived is %s", out)
	}
	if err := n.holds(true); err != nil {
		t.Error(err)
	}
}

// testKeepalivedKilled sees the VIP leave the node before keepalived runs again.
func testKeepalivedKilled(t *testing.T, n *node) {
	n.must("ip", "address", "add", ownAddress, "dev", "eth4")
	for _, signal := range []string{"KILL", "SEGV"} {
		before := strings.Count(n.journal(), tookOff)
		began := time.Now()
		// Stopped first: the child hears of its parent's end, and might have the time to clean up. Not by systemctl kill:
		// its SIGKILL goes to the whole control group, and systemd 257's ExecStopPost= in there dies of it too. The child dies
		// first: it may hear of its parent's end before the signal that stops it.
		n.must("sh", "-euc", `all=$(tac /sys/fs/cgroup$(systemctl show -P ControlGroup keepalived)/cgroup.procs)
			kill -STOP $all
			kill -"$1" $all
			kill -CONT $all 2>/dev/null || true`, "sh", signal)
		n.poll(t, "the VIP goes", func() error { return n.holds(false) })
		gone := time.Since(began)
		n.poll(t, "the VIP comes back", func() error { return n.holds(true) })
		t.Logf("SIG%s: the VIP was off the node after %v and back after %v", signal, gone.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		said := n.journal()
		if strings.Count(said, tookOff) != before+1 || strings.LastIndex(said, tookOff) > strings.LastIndex(said, "Scheduled restart job") {
			t.Errorf("after SIG%s, the VIP was not taken off once, before keepalived was started again:\n%s", signal, said)
		}
	}
	if out := n.must("ip", "-4", "address", "show", "dev", "eth4"); !strings.Contains(out, ownAddress) {
		t.Errorf("the user's own address has gone with the VIP:\n%s", out)
	}
	n.must("ip", "address", "del", ownAddress, "dev", "eth4")
}

// tookOff is what release and the daemon report, whichever was faster.
const tookOff = "removed 192.168.1.32/24"

func (n *node) journal() string {
	n.t.Helper()
	return n.must("journalctl", "-b", "-u", "keepalived", "-u", "hapair-release", "-o", "cat")
}

// poll looks every millisecond, until done says nil.
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
		t.Errorf("status %d, %v: %s", status, err, out)
	}
	if err := n.holds(true); err != nil {
		t.Error(err)
	}
}

func testStaleVIP(t *testing.T, n *node) {
	n.must("systemctl", "stop", "keepalived")
	n.eventually("the VIP is given away", func() error { return n.holds(false) })
	// The first address of the subnet, which would take the user's own along.
	n.must("sh", "-euc", "sysctl -qw net.ipv4.conf.eth4.promote_secondaries=0 net.ipv4.conf.all.promote_secondaries=0; ip address add 192.168.1.32/24 dev eth4; ip address add "+ownAddress+" dev eth4; ip address add 192.168.1.32/32 dev eth3")
	out, status, err := n.Run(t.Context(), "ha-agent", "release")
	if err != nil || status != 0 || strings.Count(out, "192.168.1.32/24") != 1 {
		t.Errorf("status %d, %v: %s", status, err, out)
	}
	left := n.must("ip", "-4", "-o", "address", "show")
	if strings.Contains(left, "192.168.1.32/24") || !strings.Contains(left, ownAddress) || !strings.Contains(left, "192.168.1.32/32") {
		t.Errorf("these addresses are left:\n%s", left)
	}
	if v := strings.TrimSpace(n.must("sysctl", "-n", "net.ipv4.conf.eth4.promote_secondaries")); v != "0" {
		t.Errorf("promote_secondaries is %s now", v)
	}
	n.must("sh", "-euc", "ip address del 192.168.1.32/32 dev eth3; ip address del "+ownAddress+" dev eth4; ip address add 192.168.1.32/24 dev eth4")
	before := strings.Count(n.journal(), tookOff)
	n.must("systemctl", "start", "keepalived")
	if said := n.journal(); strings.Count(said, tookOff) != before+1 {
		t.Errorf("the start did not sweep the stale VIP:\n%s", said)
	}
	n.eventually("the VIP is held", func() error { return n.holds(true) })
}

func testGuardIsFast(t *testing.T, n *node) {
	for _, name := range []string{"haproxy", "keepalived", "sysctl"} {
		out := n.must("sh", "-euc", `a=$(date +%s%N); for i in 1 2 3 4 5 6 7 8 9 10; do ha-agent guard "$1"; done; b=$(date +%s%N); echo $(((b - a) / 10000))`, "sh", name)
		var us int
		if _, err := fmt.Sscan(out, &us); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Logf("guard %s: %d µs", name, us)
		if us > 200_000 {
			t.Errorf("guard %s takes %d µs where nothing has changed", name, us)
		}
	}
	out, status, err := n.Run(t.Context(), "ha-agent", "guard", "nginx")
	if err != nil || status != 2 {
		t.Errorf("guard nginx: status %d, %v: %s", status, err, out)
	}
}

// rejected gives the only file that was set aside beside path, and removes it.
func (n *node) rejected(path string) string {
	n.t.Helper()
	found := strings.Fields(n.must("sh", "-c", `ls "$1".rejected-*`, "sh", path))
	if len(found) != 1 || !strings.HasSuffix(found[0], "-bad-at-start") {
		n.t.Fatalf("set aside: %v", found)
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
		t.Error("the last known good files are not back")
	}
	if after := n.must("stat", "-c", "%a %U %G", haproxyCfg, keepalivedConf); after != owners {
		t.Errorf("they were %s and are %s", owners, after)
	}
	if got := n.rejected(keepalivedConf); got != "" {
		t.Errorf("set aside was %q", got)
	}
	n.eventually("the VIP is held", func() error { return n.holds(true) })
	n.eventually("it is in the status", func() error { return n.lastIs("keepalived", "empty") })
}

// lastIs reports whether the last change is a guard's.
func (n *node) lastIs(target, reason string) error {
	s, err := n.status()
	if err == nil && (s.LastChange == nil || s.LastChange.Verdict != journal.RolledBack || fmt.Sprint(s.LastChange.Targets) != "["+target+"]" || !strings.Contains(s.LastChange.Reason, reason)) {
		err = fmt.Errorf("the last change is %+v", s.LastChange)
	}
	return err
}

// testBrokenInclude adds a file that the good configuration reads by a pattern: it alone is bad.
func testBrokenInclude(t *testing.T, n *node) {
	before, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	n.must("mkdir", "-p", "/etc/keepalived/conf.d")
	n.write("/etc/keepalived/conf.d/a.conf", 0o600, []byte("# nothing yet\n"))
	n.save(keepalivedConf, n.read(keepalivedConf)+"\ninclude conf.d/*.conf\n")
	if c := n.change(before.LastChange.Number); c.Verdict != journal.Proven {
		t.Fatalf("%+v", c)
	}
	const extra = "/etc/keepalived/conf.d/b.conf"
	n.must("systemctl", "stop", "keepalived", "ha-agent")
	n.write(extra, 0o600, []byte("vrrp_instance {\n"))
	n.must("systemctl", "start", "keepalived", "ha-agent")
	if got := n.rejected(extra); got != "vrrp_instance {\n" {
		t.Errorf("set aside was %q", got)
	}
	if _, err := n.ReadFile(extra); err == nil {
		t.Error("the broken file is still read")
	}
	n.eventually("the VIP is held", func() error { return n.holds(true) })
}

// testReboot breaks everything while nobody looks, and reboots.
func testReboot(t *testing.T, n *node) {
	n.settled()
	hap, keep, sysctl := n.read(haproxyCfg), n.read(keepalivedConf), n.read(sysctlConf)
	n.must("systemctl", "stop", "ha-agent")
	n.write(haproxyCfg, 0o640, []byte(hap+"\nfrontend broken\n    bind nonsense\n"))
	n.write(keepalivedConf, 0o600, []byte("global_defs {\n"+strings.Repeat("half a file\n", 3)))
	n.write(sysctlConf, 0o644, nil)
	n.must("systemctl", "mask", "systemd-networkd-wait-online") // nobody here announces routers, for which it waits
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	if err := n.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	n.eventually("the VIP is held after the reboot", func() error { return n.holds(true) })
	if n.read(haproxyCfg) != hap || n.read(keepalivedConf) != keep || n.read(sysctlConf) != sysctl {
		t.Error("the last known good files are not back")
	}
	if got := n.rejected(haproxyCfg); !strings.Contains(got, "nonsense") {
		t.Errorf("set aside was %q", got)
	}
	if got := n.rejected(keepalivedConf); !strings.Contains(got, "half a file") {
		t.Errorf("set aside was %q", got)
	}
	n.rejected(sysctlConf)
	if v := strings.TrimSpace(n.must("sysctl", "-n", "net.ipv4.ip_nonlocal_bind")); v != "1" {
		t.Errorf("ip_nonlocal_bind is %s", v)
	}
	n.eventually("haproxy serves the VIP", func() error {
		out, status, err := n.Run(ctx, "ss", "-Hltn", "src", netip.AddrPortFrom(theVIP, 5000).String())
		if err != nil || status != 0 || !strings.Contains(out, "LISTEN") {
			return fmt.Errorf("status %d, %v: %s", status, err, out)
		}
		return nil
	})
	n.eventually("it is in the status", func() error { return n.lastIs("keepalived", "before a start") })
}
