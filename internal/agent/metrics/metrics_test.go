package metrics

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/revision"
)

// everything is a snapshot with a value for each metric.
func everything() Snapshot {
	at := time.Unix(1700000000, 0)
	return Snapshot{
		Status: control.Status{
			Daemon: control.Daemon{Running: true, Since: at, Panics: []control.Panic{{Part: "a", Count: 2}, {Part: "b", Count: 3}}}, Maintenance: true, MaintenanceUntil: at,
			Versions: control.Versions{Agent: "v1.2.3", HAProxy: "3.0.11", Keepalived: `a "\` + "\n"},
			Targets:  []control.Target{{Name: "keepalived", Active: "active", Generation: 3, Drift: true}},
			VIPs: []control.VIP{{Name: "public", OnChange: &control.OnChange{Runs: 7, Failures: 2, Why: "it ended with status 1"}, Addresses: []string{"192.0.2.10/24", "fd00::10/64"}, HeldAddresses: []string{"192.0.2.10"},
				OtherHolders: []control.OtherHolder{{Address: "192.0.2.10", HardwareAddress: "02:00:00:00:00:01"}, {Address: "192.0.2.10", HardwareAddress: "02:00:00:00:00:02"}}}},
			Instances: []control.Instance{{Name: "VI_a", State: "MASTER", Priority: 254}, {Name: "VI_b", State: control.Unknown}},
			HAProxy:   control.HAProxy{Answers: true}, LastChange: &journal.Change{Time: at},
			Revision:     &control.Revision{Ref: revision.Ref{Number: 7, ID: "abc"}, Drift: []string{"/a"}, Trial: &revision.TrialState{}},
			Certificates: []control.Certificate{{Path: "/a.pem", NotAfter: at}, {Path: "/b.pem", Why: "x"}, {Path: "/c.pem", NotAfter: at, Placeholder: true}},
		},
		Changes: map[journal.Verdict]int{journal.RolledBack: 2},
		Process: Process{OK: true, CPU: 1500 * time.Millisecond, Resident: 1 << 20, OpenFiles: 12},
	}
}

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, everything()); err != nil {
		t.Fatal(err)
	}
	for _, m := range All() {
		if !strings.Contains(b.String(), "# TYPE "+m.Name+" "+m.Type+"\n"+m.Name) {
			t.Errorf("the metric %s has no value", m.Name)
		}
	}
	for name := range samples(everything()) {
		if !strings.Contains(b.String(), "\n"+name) {
			t.Errorf("%s has a value, but is not a metric", name)
		}
	}
	for _, line := range []string{
		`hapair_build_info{version="v1.2.3",haproxy="3.0.11",keepalived="a \"\\\n"} 1`,
		`hapair_vip_held{vip="public",address="192.0.2.10"} 1`,
		`hapair_vip_held{vip="public",address="fd00::10"} 0`,
		`hapair_vip_other_holders{vip="public",address="192.0.2.10"} 2`,
		`hapair_on_change_runs_total{vip="public",result="ok"} 5`,
		`hapair_on_change_runs_total{vip="public",result="failed"} 2`,
		`hapair_on_change_failed{vip="public"} 1`,
		`hapair_certificate_placeholder{path="/c.pem"} 1`,
		`hapair_certificate_unreadable{path="/b.pem"} 1`,
		`hapair_vrrp_state{vrrp_instance="VI_a",state="master"} 1`,
		`hapair_vrrp_state{vrrp_instance="VI_a",state="backup"} 0`,
		`hapair_vrrp_state{vrrp_instance="VI_b",state="unknown"} 1`,
		`hapair_changes_total{verdict="rolled_back"} 2`,
		`hapair_changes_total{verdict="proven"} 0`,
		`hapair_config_drift{target="keepalived"} 1`,
		`hapair_last_change_timestamp_seconds 1.7e+09`,
		`hapair_revision_number 7`,
		`hapair_revision_info{id="abc"} 1`,
		`hapair_revision_drift_files 1`,
		`hapair_revision_trial 1`,
		`hapair_agent_panics_total 5`,
		`process_cpu_seconds_total 1.5`,
	} {
		if !strings.Contains(b.String(), "\n"+line+"\n") {
			t.Errorf("the line %s is missing in\n%s", line, &b)
		}
	}
	form := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\})? [0-9.e+-]+)$`)
	for line := range strings.Lines(b.String()) {
		if !form.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("Prometheus cannot read the line %s", line)
		}
	}
}

func TestEmptyNodeHasMetrics(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, Snapshot{}); err != nil || !strings.Contains(b.String(), "hapair_haproxy_up 0\n") {
		t.Errorf("metrics of an empty node: %v:\n%s", err, &b)
	}
}

func TestSelf(t *testing.T) {
	if p := Self(); !p.OK || p.Resident < 1<<20 || p.OpenFiles < 3 {
		t.Errorf("the process's own figures are %+v", p)
	}
}

// serve starts a server on loopback, and returns its URL.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func TestServer(t *testing.T) {
	collected := 0
	url := serve(t, &Server{Log: slog.New(slog.DiscardHandler), Collect: func(context.Context) Snapshot { collected++; return everything() }})
	for range 5 {
		res, err := http.Get(url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || !strings.Contains(string(body), "hapair_haproxy_up 1\n") || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Fatalf("GET /metrics: %s %v:\n%s", res.Status, res.Header, body)
		}
	}
	if collected > 3 {
		t.Errorf("the server collected %d times for 5 requests at once, want 1", collected)
	}
	for path, want := range map[string]int{"/": 404, "/metrics/x": 404} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, res.Status, want)
		}
	}
	if res, err := http.Post(url+"/metrics", "text/plain", nil); err != nil || res.StatusCode != 405 {
		t.Errorf("POST: %v, %v", res, err)
	}
}

func TestManyConnections(t *testing.T) {
	url := serve(t, &Server{Log: slog.New(slog.DiscardHandler), Collect: func(context.Context) Snapshot { return Snapshot{} }})
	for range 3 * connections { // some clients only keep their connection open
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	end := time.Now().Add(10 * time.Second)
	for {
		res, err := http.Get(url + "/metrics")
		if err == nil {
			res.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// end is an end of a connection with fixed addresses.
type end struct {
	net.Conn
	local, remote string
}

func (e end) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.local)) }
func (e end) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.remote)) }

func TestAllowed(t *testing.T) {
	l := &limited{allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00:56::/64")}}
	for _, tt := range []struct {
		local, remote string
		want          bool
	}{
		{"192.0.2.1:9736", "10.1.2.3:40000", true},
		{"[::ffff:192.0.2.1]:9736", "[::ffff:10.1.2.3]:40000", true},
		{"192.0.2.1:9736", "192.0.2.9:40000", false},
		{"192.0.2.1:9736", "192.0.2.1:40000", true},
		{"127.0.0.1:9736", "127.0.0.2:40000", true},
		{"[fd00:56::1]:9736", "[fd00:56::2]:40000", true},
		{"[fd00:57::1]:9736", "[fd00:57::2]:40000", false},
	} {
		if _, got := l.allowed(end{local: tt.local, remote: tt.remote}); got != tt.want {
			t.Errorf("a request from %s to %s is allowed: %v", tt.remote, tt.local, got)
		}
	}
	if _, ok := (&limited{}).allowed(end{local: "192.0.2.1:1", remote: "198.51.100.1:1"}); !ok {
		t.Error("without a list, a request was refused")
	}
}
