package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

// TestUnusableFilesOnANode replaces files of a real node by FIFOs, devices, directories and a huge file, while the agent
// runs and before services start.
func TestUnusableFilesOnANode(t *testing.T) {
	for _, releaseName := range []string{"trixie"} {
		t.Run(releaseName, func(t *testing.T) {
			n := newNode(t, releaseName)
			n.settled()
			n.run(t, []part{
				{"while the agent runs", testUnusableWhileItRuns},
				{"before a start", testUnusableBeforeAStart},
				{"agent.yaml", testUnusableAgentYAML},
				{"a damaged store", testDamagedStore},
				{"a dead haproxy", testStatusOfADeadHAProxy},
				{"damaged shipped files", testVerifyOfShippedFiles},
				{"maintenance", testVerifyUnderMaintenance},
			})
		})
	}
}

// bounded runs ha-agent, which must end before its own time limits would be exceeded.
func (n *node) bounded(args ...string) (out string, status int) {
	n.t.Helper()
	began := time.Now()
	out, status, err := n.Run(n.t.Context(), "timeout", append([]string{"-s", "KILL", "60", "ha-agent"}, args...)...)
	if err != nil || status == 137 {
		n.t.Fatalf("ha-agent %v: status %d after %v, %v\n%s", args, status, time.Since(began), err, out)
	}
	return out, status
}

// healthy waits until check, status and verify report no problem.
func (n *node) healthy() {
	n.t.Helper()
	n.eventually("check, status and verify report no problem", func() error {
		for _, args := range [][]string{{"check"}, {"status"}, {"verify"}} {
			if out, status := n.bounded(args...); status != 0 {
				return fmt.Errorf("ha-agent %v: exit status %d\n%s", args, status, out)
			}
		}
		return nil
	})
}

const put = `rm -f "$1"; case $2 in
FIFO) mkfifo "$1" ;;
device) ln -s /dev/zero "$1" ;;
huge) truncate -s 1T "$1" ;;
directory) mkdir "$1" ;;
esac`

func testUnusableWhileItRuns(t *testing.T, n *node) {
	for _, path := range []string{haproxyCfg, keepalivedConf, sysctlConf} {
		for _, kind := range []string{"FIFO", "device", "huge"} {
			n.must("cp", "-p", path, "/root/kept")
			before := n.must("systemctl", "show", "-P", "MainPID", "ha-agent")
			n.must("sh", "-euc", put, "sh", path, kind)
			n.eventually("the change is refused, and the reason names the file", func() error {
				s, err := n.status()
				if err != nil {
					return err
				}
				if s.Healthy || s.LastChange.Verdict != journal.Refused || !strings.Contains(s.LastChange.Reason, path) {
					return fmt.Errorf("healthy %t, last change %+v", s.Healthy, s.LastChange)
				}
				return nil
			})
			if out, status := n.bounded("status"); status != 1 || !strings.Contains(out, "PROBLEM") {
				t.Errorf("%s, %s: status exits with %d:\n%s", path, kind, status, out)
			}
			if out, status := n.bounded("verify"); status != 1 || !strings.Contains(out, path) {
				t.Errorf("%s, %s: verify exits with %d:\n%s", path, kind, status, out)
			}
			if out, status := n.bounded("check"); status != 0 {
				t.Errorf("%s, %s: the check exits with %d: %s", path, kind, status, out)
			}
			if out, status := n.bounded("guard", "--reload", "keepalived"); (status == 0) != (path != keepalivedConf) {
				t.Errorf("%s, %s: the guard of keepalived's reload exits with %d: %s", path, kind, status, out)
			}
			n.must("sh", "-euc", `rm -f "$1"; mv /root/kept "$1"`, "sh", path)
			n.healthy()
			if after := n.must("systemctl", "show", "-P", "MainPID", "ha-agent"); after != before {
				t.Errorf("%s, %s: the agent was restarted: its process was %s, and is %s", path, kind, before, after)
			}
			if err := n.holds(true); err != nil {
				t.Error(err)
			}
		}
	}
}

func testUnusableBeforeAStart(t *testing.T, n *node) {
	for _, kind := range []string{"FIFO", "huge", "directory"} {
		n.must("systemctl", "stop", "keepalived", "haproxy", "ha-agent")
		for _, path := range []string{haproxyCfg, keepalivedConf, sysctlConf} {
			n.must("sh", "-euc", put, "sh", path, kind)
		}
		began := time.Now()
		n.must("systemctl", "start", "ha-agent", "haproxy", "keepalived")
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: the start took %v, want at most 30 s", kind, took)
		}
		n.healthy()
		n.eventually("the node holds the VIP", func() error { return n.holds(true) })
		n.must("sh", "-euc", `rm -rf /etc/haproxy/*.rejected-* /etc/keepalived/*.rejected-* /etc/sysctl.d/*.rejected-*`)
	}
}

func testUnusableAgentYAML(t *testing.T, n *node) {
	const path = "/etc/ha-agent/agent.yaml"
	n.must("cp", "-p", path, "/root/kept")
	for kind, want := range map[string]string{"FIFO": "is a FIFO", "device": "is a device", "huge": "more than the limit of 2 MiB", "directory": "is a directory"} {
		n.must("sh", "-euc", put, "sh", path, kind)
		for _, args := range [][]string{{"verify"}, {"release"}, {"status", "--timeout", "2s"}} {
			out, status := n.bounded(args...)
			if args[0] == "status" {
				if status > 1 { // the daemon uses the configuration that it has read
					t.Errorf("%s: status exits with %d: %s", kind, status, out)
				}
			} else if status != 3 || !strings.Contains(out, path+": "+want) && !strings.Contains(out, want) {
				t.Errorf("%s: %v exits with %d: %s", kind, args, status, out)
			}
		}
		if out, status := n.bounded("guard", "haproxy"); status != 0 {
			t.Errorf("%s: the guard exits with %d: %s", kind, status, out)
		}
		n.must("rm", "-rf", path)
	}
	n.must("mv", "/root/kept", path)
	n.healthy()
}

func testDamagedStore(t *testing.T, n *node) {
	for _, damage := range []string{"echo '{' >manifest.json", "rm manifest.json; mkfifo manifest.json", "rm -f ../journal.jsonl; mkfifo ../journal.jsonl"} {
		n.must("systemctl", "stop", "ha-agent")
		n.must("sh", "-euc", "cd /var/lib/ha-agent/good; "+damage)
		if out, status := n.bounded("guard", "haproxy"); status != 0 {
			t.Errorf("%s: the guard exits with %d: %s", damage, status, out)
		}
		n.must("systemctl", "start", "ha-agent")
		n.healthy()
		n.must("sh", "-euc", "ls -d /var/lib/ha-agent/*.damaged-* && rm -rf /var/lib/ha-agent/*.damaged-*")
	}
}

func testStatusOfADeadHAProxy(t *testing.T, n *node) {
	n.must("systemctl", "stop", "haproxy")
	if out, status := n.bounded("status"); status != 1 || !strings.Contains(out, "PROBLEM      haproxy does not answer") {
		t.Errorf("with a dead haproxy, status exits with %d, want 1:\n%s", status, out)
	}
	n.must("systemctl", "start", "haproxy")
	n.must("systemctl", "stop", "ha-agent")
	if out, status := n.bounded("status"); status != 1 || !strings.Contains(out, "the agent's daemon does not run") {
		t.Errorf("without the daemon, status exits with %d, want 1:\n%s", status, out)
	}
	n.must("systemctl", "start", "ha-agent")
	n.healthy()
}

func testVerifyOfShippedFiles(t *testing.T, n *node) {
	for path, spoil := range map[string]string{
		"/etc/systemd/network/10-netplan-eth4.network.d/hapair.conf": `rm "$1"`,
		"/usr/lib/tmpfiles.d/hapair.conf":                            `chmod 0600 "$1"`,
		"/etc/apt/apt.conf.d/60hapair":                               `echo >>"$1"`,
		"/etc/needrestart/conf.d/hapair.conf":                        `chown nobody "$1"`,
	} {
		n.must("sh", "-euc", `cp -p "$1" /root/kept; `+spoil, "sh", path)
		if out, status := n.bounded("verify"); status != 1 || strings.Count(out, "NOT ") != 1 || !strings.Contains(out, path) {
			t.Errorf("%s after %s: verify exits with %d:\n%s", path, spoil, status, out)
		}
		n.must("cp", "-p", "/root/kept", path)
	}
	n.healthy()
}

func testVerifyUnderMaintenance(t *testing.T, n *node) {
	n.must("ha-agent", "maintenance", "on", "--force")
	out, status := n.bounded("verify")
	if status != 0 || !strings.Contains(out, "WARN the node is in service: it is in maintenance") || !strings.Contains(out, "ok  haproxy answers") {
		t.Errorf("in maintenance, verify exits with %d, want 0 and a warning:\n%s", status, out)
	}
	if out, status := n.bounded("status"); status != 0 {
		t.Errorf("in maintenance, status exits with %d, want 0:\n%s", status, out)
	}
	n.must("ha-agent", "maintenance", "off")
	n.eventually("the node holds the VIP", func() error { return n.holds(true) })
	n.healthy()
}
