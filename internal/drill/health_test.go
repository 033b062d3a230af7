package drill

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/wellknown"
)

// As systemd 252 and 257 print it. The order of the properties is that of systemd.
const shown = `Result=exit-code
NRestarts=7
ExecMainStatus=2
Id=ha-agent.service
ActiveState=activating
SubState=auto-restart
InvocationID=

Result=success
NRestarts=0
ExecMainStatus=0
Id=haproxy.service
ActiveState=active
SubState=running
InvocationID=487d8c591017452f8ce57793cfd54508
`

func TestParseUnits(t *testing.T) {
	got := parseUnits(shown)
	want := map[string]unit{
		wellknown.AgentUnit:   {active: "activating", sub: "auto-restart", result: "exit-code", restarts: 7, status: 2},
		wellknown.HAProxyUnit: {active: "active", sub: "running", invocation: "487d8c591017452f8ce57793cfd54508", result: "success"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(unit{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := got[wellknown.AgentUnit].running(); err == nil || err.Error() != "is activating (auto-restart), result exit-code, last exit status 2" {
		t.Errorf("a unit that is being restarted: %v", err)
	}
	if err := got[wellknown.HAProxyUnit].running(); err != nil {
		t.Errorf("a unit that runs: %v", err)
	}
}

func TestRestarted(t *testing.T) {
	node := func(leader, restarts int, invocation string) nodeUnits {
		return nodeUnits{leader, map[string]unit{wellknown.HAProxyUnit: {invocation: invocation, restarts: restarts, result: "signal"}}}
	}
	allowed := []string{wellknown.HAProxyUnit}
	for name, test := range map[string]struct {
		before, now nodeUnits
		allowed     []string
		want        []string
	}{
		"the first check":               {nodeUnits{}, node(1, 0, "a"), nil, nil},
		"a boot with a restart":         {nodeUnits{}, node(1, 1, "b"), nil, []string{"systemd has restarted haproxy on lb1 1 time: result signal, last exit status 0"}},
		"nothing":                       {node(1, 3, "a"), node(1, 3, "a"), nil, nil},
		"once, as the fault does":       {node(1, 3, "a"), node(1, 4, "b"), allowed, nil},
		"once, for no reason":           {node(1, 3, "a"), node(1, 4, "b"), nil, []string{"systemd has restarted haproxy on lb1 1 time: result signal, last exit status 0"}},
		"again and again":               {node(1, 3, "a"), node(1, 9, "b"), allowed, []string{"systemd has restarted haproxy on lb1 6 times: result signal, last exit status 0"}},
		"a start that was asked for":    {node(1, 3, "a"), node(1, 0, "b"), allowed, nil},
		"a start that was not expected": {node(1, 0, "a"), node(1, 0, "b"), nil, []string{"haproxy on lb1 was restarted, which this fault does not cause"}},
		"another boot":                  {node(1, 3, "a"), node(2, 0, "b"), nil, nil},
	} {
		if diff := cmp.Diff(test.want, restarted("lb1", test.before, test.now, test.allowed)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestWrongIn(t *testing.T) {
	s := control.Status{
		Daemon: control.Daemon{Running: true}, HAProxy: control.HAProxy{Answers: true},
		Targets:   []control.Target{{Name: "haproxy", Generation: 2}},
		Instances: []control.Instance{{Name: "VI_www", State: "BACKUP"}},
	}
	if got := wrongIn(s, "lb1"); got != nil {
		t.Errorf("a healthy node: %q", got)
	}
	s.Daemon = control.Daemon{Why: "no such file"}
	s.HAProxy = control.HAProxy{Why: "connection refused"}
	s.Targets = []control.Target{{Name: "haproxy", Generation: 2, Drift: true}, {Name: "keepalived"}}
	s.Instances = []control.Instance{{Name: "VI_www", State: "FAULT"}, {Name: "VI_db", State: control.Unknown, Why: "keepalived is silent"}}
	s.VIPs = []control.VIP{{Name: "www", OtherHolders: []control.OtherHolder{{Address: "10.0.0.1", HardwareAddress: "02:00:00:00:00:01"}}}}
	want := []string{
		"ha-agent on lb1 does not answer: no such file",
		"haproxy does not answer on lb1: connection refused",
		"VI_www on lb1 is in state FAULT",
		"the files of haproxy on lb1 are not those that ha-agent proved",
		"ha-agent on lb1 has not proved the files of keepalived",
		"another machine (02:00:00:00:00:01) answers for 10.0.0.1 of www, which lb1 holds",
	}
	if diff := cmp.Diff(want, wrongIn(s, "lb1")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s = control.Status{Daemon: control.Daemon{Running: true}, HAProxy: control.HAProxy{Answers: true}, Instances: s.Instances[1:]}
	if diff := cmp.Diff([]string{"VI_db on lb1 is in state unknown: keepalived is silent"}, wrongIn(s, "lb1")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestComplaints(t *testing.T) {
	for line, bad := range map[string]bool{
		"panic: As4 called on IPv6 address":                                     true,
		"fatal error: all goroutines are asleep - deadlock!":                    true,
		`level=ERROR msg="panic in a round" error="runtime error: index"`:       true,
		`level=INFO msg="track file" says=1 why="haproxy is stopped"`:           false,
		`level=INFO msg="change proven" number=1 targets=sysctl reason="" took`: false,
	} {
		if got := complaint[wellknown.AgentUnit].MatchString(line); got != bad {
			t.Errorf("ha-agent: %q: %v, want %v", line, got, bad)
		}
	}
	for line, bad := range map[string]bool{
		"VRRP child process(325) died: Respawning": true,
		"(VI_www) Entering FAULT STATE":            false,
	} {
		if got := complaint[wellknown.KeepalivedUnit].MatchString(line); got != bad {
			t.Errorf("keepalived: %q: %v, want %v", line, got, bad)
		}
	}
	for line, bad := range map[string]bool{
		"[ALERT]    (305) : Current worker (307) exited with code 139 (Segmentation fault)": true,
		"[WARNING]  (305) : Former worker (307) exited with code 0 (Exit)":                  false,
	} {
		if got := complaint[wellknown.HAProxyUnit].MatchString(line); got != bad {
			t.Errorf("haproxy: %q: %v, want %v", line, got, bad)
		}
	}
}

func TestReaction(t *testing.T) {
	at := func(ms int) time.Time {
		if ms < 0 {
			return time.Time{}
		}
		return clock(float64(ms))
	}
	const late = "lb1 gave up its VIPs 1500 ms after the fault because its track_script failed, and not earlier because of its track file: is ha-agent running?"
	for name, test := range map[string]struct {
		fault, lost  int // milliseconds after the strike; -1: never
		logged       string
		way, problem string
	}{
		"at once":                                {8, 12, byTrackFile, byTrackFile, ""},
		"a file that was not seen in time":       {-1, 12, byTrackFile, byTrackFile, ""},
		"without a log":                          {8, 12, "", byTrackFile, ""},
		"no agent":                               {-1, 1500, byTrackScript, byTrackScript, late},
		"keepalived that does not read the file": {8, 1500, byTrackScript, byTrackScript, late},
		"an agent that is late":                  {1900, 1500, byTrackScript, byTrackScript, late},
		"for other reasons": {-1, 300, "", "",
			"lb1 lost its VIPs 300 ms after the fault, but not because of its track file: is ha-agent running?"},
		"nothing":        {-1, -1, "", "", "lb1 kept its VIPs: neither its track file nor its track_script reported a fault"},
		"only the agent": {8, -1, "", byTrackFile, "lb1 kept its VIPs although its track file asked for FAULT"},
	} {
		way, problem := reaction{at(test.fault), at(test.lost), test.logged}.way("lb1", clock(0))
		if way != test.way || problem != test.problem {
			t.Errorf("%s: %q, %q", name, way, problem)
		}
	}
}

// As keepalived 2.3.3 logs it, with the track_script and with the track file as the cause.
func TestLoggedCause(t *testing.T) {
	for want, lines := range map[string][]string{
		byTrackScript: {"Script `haproxy` now returning 1", "VRRP_Script(haproxy) failed (exited with status 1)", "(VI_www) Entering FAULT STATE"},
		byTrackFile:   {"(VI_www) Entering FAULT STATE", "Script `haproxy` now returning 1", "VRRP_Script(haproxy) failed (exited with status 1)"},
		"":            {"Script `haproxy` now returning 1"},
	} {
		if got := loggedCause(lines); got != want {
			t.Errorf("%q: %q, want %q", lines, got, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	good := func() *Report {
		return &Report{Faults: []Fault{{Good: true}}, VIPs: []Asked{{Name: "www", URL: "http://10.0.0.1:80/"}}}
	}
	for want, change := range map[string]func(*Report){
		"all good":            func(*Report) {},
		"not good":            func(r *Report) { r.Problems = []string{"ha-agent on lb1 does not run"} },
		"not finished":        func(r *Report) { r.Ended = "it was interrupted" },
		"not all VIPs tested": func(r *Report) { r.VIPs = append(r.VIPs, Asked{Name: "db", Why: "it has no service"}) },
	} {
		r := good()
		change(r)
		if r.judge(); r.Verdict() != want || r.Good != (want == "all good") {
			t.Errorf("verdict %q (good %v), want %q", r.Verdict(), r.Good, want)
		}
	}
}
