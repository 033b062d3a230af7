package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
)

func aStatus() control.Status {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	return control.Status{
		Cluster: "controllers", Node: "controller_1",
		Daemon:   control.Daemon{Running: true, PID: 123, Since: at},
		Versions: control.Versions{Agent: "v1.2.3", HAProxy: "3.0.11", Keepalived: "2.3.3"},
		HAProxy:  control.HAProxy{Answers: true, PID: 456},
		Targets: []control.Target{
			{Name: "haproxy", Unit: "haproxy.service", Active: "active", Generation: 4, Digest: "0123456789abcdef", GoodDigest: "0123456789abcdef"},
			{Name: "keepalived", Unit: "keepalived.service", Active: "active", Generation: 2, Digest: "1123456789abcdef", GoodDigest: "1123456789abcdef"},
		},
		VIPs: []control.VIP{{Name: "public", Interface: "eth4", Held: true, Addresses: []string{"192.168.1.32/24"},
			HeldAddresses: []string{"192.168.1.32"}, Instances: []string{"VI_public"}}},
		Instances: []control.Instance{{Name: "VI_public", State: "MASTER", Priority: 254, Since: at, Kernel: "held"}},
		Changes:   []journal.Change{{Number: 4, Time: at, Targets: []string{"haproxy"}, Verdict: journal.Proven, Took: "210ms"}},
	}
}

const aHealthyNode = `node         controller_1 of cluster controllers
agent        running since 2026-03-01 10:00:00Z, process 123, version v1.2.3
haproxy      answers, process 456, version 3.0.11
keepalived   runs, version 2.3.3
maintenance  off

VIP     ADDRESS          INTERFACE  KERNEL  KEEPALIVED                                       OTHER HOLDERS
public  192.168.1.32/24  eth4       held    MASTER since 2026-03-01 10:00:00Z, priority 254  none

TARGET      GENERATION  DIGEST        DISK
haproxy     4           0123456789ab  as proven
keepalived  2           1123456789ab  as proven

CHANGE  AT                    TOOK   TARGETS  VERDICT
4       2026-03-01 10:00:00Z  210ms  haproxy  proven
`

func printed(t *testing.T, s control.Status) string {
	t.Helper()
	var b strings.Builder
	if err := printStatus(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStatusOfAHealthyNode(t *testing.T) {
	if diff := cmp.Diff(aHealthyNode, printed(t, aStatus())); diff != "" {
		t.Error(diff)
	}
}

func TestStatusShowsProblems(t *testing.T) {
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		make func(s *control.Status)
		want string // the end of a line
	}{
		{"the daemon is dead", func(s *control.Status) { s.Daemon = control.Daemon{Why: "nobody answers"} }, "NOT RUNNING: nobody answers"},
		{"the daemon is dead, so other holders are unknown", func(s *control.Status) { s.Daemon = control.Daemon{Why: "nobody answers"} }, "priority 254  unknown"},
		{"a part panicked", func(s *control.Status) {
			s.Daemon.Panics = []control.Panic{{Part: "a change of haproxy", Reason: "boom", Count: 3, Last: until}}
		}, "PANICKED in a change of haproxy, 3 times, last at 2026-03-01 12:00:00Z: boom (`journalctl -u ha-agent` has the stack)"},
		{"haproxy is stuck", func(s *control.Status) { s.HAProxy = control.HAProxy{Why: "no answer"} }, "DOES NOT ANSWER: no answer"},
		{"keepalived is dead", func(s *control.Status) { s.Targets[1].Active = "failed" }, "DOES NOT RUN: keepalived.service is failed, version 2.3.3"},
		{"the firewall is loaded", func(s *control.Status) { s.Firewall = &control.Firewall{Active: "active"} }, "firewall     loaded"},
		{"the firewall is not loaded", func(s *control.Status) {
			s.Firewall = &control.Firewall{Unit: "hapair-firewall.service", Active: "failed"}
		}, "NOT LOADED: hapair-firewall.service is failed: VRRP packets from all machines are accepted"},
		{"systemd is silent", func(s *control.Status) { s.Targets[1].Active = "" }, "systemd does not answer, version 2.3.3"},
		{"maintenance", func(s *control.Status) { s.Maintenance = true }, "until `ha-agent maintenance off`"},
		{"for a time", func(s *control.Status) { s.Maintenance, s.MaintenanceUntil = true, until }, "until 2026-03-01 12:00:00Z"},
		{"a split brain", func(s *control.Status) {
			s.VIPs[0].OtherHolders = []control.OtherHolder{{Address: "192.168.1.32", HardwareAddress: "02:00:00:00:00:09"}}
		}, "YES: 02:00:00:00:00:09"},
		{"a MASTER without an address", func(s *control.Status) {
			s.VIPs[0].HeldAddresses, s.Instances[0].Kernel = nil, "not held"
		}, "priority 254 (THE KERNEL DISAGREES)"},
		{"an unknown state", func(s *control.Status) {
			s.Instances[0] = control.Instance{Name: "VI_public", State: control.Unknown, Why: "keepalived does not run"}
		}, "VI_public is unknown: keepalived does not run"},
		{"a command that is done", func(s *control.Status) { s.VIPs[0].OnChange = &control.OnChange{State: "MASTER", Runs: 3} }, "on_change is done for MASTER"},
		{"a command that failed", func(s *control.Status) {
			s.VIPs[0].OnChange = &control.OnChange{State: "BACKUP", Runs: 3, Why: "it ended with status 1"}
		}, `on_change FAILED for BACKUP: it ended with status 1`},
		{"drift", func(s *control.Status) {
			s.Targets[0].Drift, s.Targets[0].Digest = true, "ffffffffffffffff"
		}, "ffffffffffff  DRIFT: the service runs generation 4, digest 0123456789ab"},
		{"a problem", func(s *control.Status) { s.Problems = []string{"haproxy does not answer"} }, "haproxy does not answer"},
		{"a hostile worker", func(s *control.Status) { s.Versions.HAProxy = "3.0\x1b[2J\nok  all\u009b1m\u202e" },
			`version 3.0\u001b[2J\nok  all\u009b1m\u202e`},
		{"a FIFO", func(s *control.Status) {
			s.Targets[0].Files = []control.File{{Path: "/etc/haproxy/haproxy.cfg", State: "unreadable", Why: "it is a FIFO"}}
		}, "it is a FIFO"},
		{"which file", func(s *control.Status) {
			s.Targets[0].Files = []control.File{{Path: "/etc/haproxy/haproxy.cfg", State: "drift", Digest: "eeeeeeeeeeeeeeee"}}
		}, "eeeeeeeeeeee  /etc/haproxy/haproxy.cfg"},
		{"a refusal", func(s *control.Status) {
			s.Changes[0].Verdict, s.Changes[0].Reason = journal.Refused, "haproxy: no such\nkeyword"
		}, "REFUSED: haproxy: no such keyword"},
	} {
		s := aStatus()
		tt.make(&s)
		if got := printed(t, s); !strings.Contains(got, tt.want+"\n") {
			t.Errorf("%s: no line ends with %q:\n%s", tt.name, tt.want, got)
		}
	}
}
