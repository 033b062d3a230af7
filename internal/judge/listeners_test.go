package judge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/release"
)

const listening = `apiVersion: hapair/v1
cluster: test
nodes:
  - {name: lb1, address: [192.0.2.1/24, "2001:db8::1/64"], interface: eth0}
  - name: lb2
    address: [192.0.2.2/24, "2001:db8::2/64"]
    interface: eth0
    network: {version: 2, ethernets: {eth0: {addresses: [192.0.2.2/24, "2001:db8::2/64"]}, eth1: {addresses: [10.9.9.9/24]}}}
vips:
  - {name: public, address: [192.0.2.10/24, "2001:db8::10/64"]}
stats: {port: 1936, allow: [192.0.2.0/24]}
agent: {metrics: "node:9736"}
services:
  - {name: web, vip: public, port: 80, mode: http, servers: [{name: a, address: 198.51.100.1}]}
haproxy:
  extra: |
    frontend raw
`

// The bind lines of a raw frontend, which begins on line 18 of the spec, and their problems.
func TestListeners(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"bind 192.0.2.10:81", ""},
		{"bind 192.0.2.10:80", "error:18: frontend raw listens on port 80 of 192.0.2.10, which service web has already"},
		{"bind [2001:db8::10]:80", "error:18: frontend raw listens on port 80 of 2001:db8::10"},
		{"bind 2001:db8::10:80", "error:18: frontend raw listens on port 80 of 2001:db8::10"},
		{"bind ipv6@2001:db8::10:80", "error:18: frontend raw listens on port 80 of 2001:db8::10"},
		{"bind 192.0.2.10:443,192.0.2.10:80", "error:18: frontend raw listens on port 80 of 192.0.2.10"},
		{"bind 192.0.2.10:70-90", "error:18: frontend raw listens on port 80 of 192.0.2.10"},
		{"bind 192.0.2.10:81-90", ""},
		{"bind 192.0.2.1:1936", "error:18: frontend raw listens on port 1936 of 192.0.2.1, which the stats page has already"},
		{"bind *:9736", "error:18: frontend raw and agent.metrics both listen on port 9736"},
		{"bind 192.0.2.10:9736", ""},
		{"bind *:80", "warning:18: frontend raw listens on port 80 of all addresses, but service web has it on 192.0.2.10"},
		{"bind :::80 v6only", "warning:18: frontend raw listens on port 80 of all addresses, but service web has it on 2001:db8::10"},
		{"bind *:443\n        bind :::443", ""},
		{"bind :443 thread 1\n        bind :443 thread 2", ""},
		{"bind 192.0.2.10:443 interface eth0\n    frontend other\n        bind 192.0.2.10:443 interface eth1", ""},
		{"bind 192.0.2.10:443\n    listen other\n        bind 192.0.2.10:443", "error:20: listen other listens on port 443 of 192.0.2.10, which frontend raw has already"},
		{"bind 203.0.113.7:443", "warning:18: frontend raw listens on 203.0.113.7, which is neither a VIP nor an address of a node"},
		{"bind 127.0.0.1:8404\n        bind [::1]:8404\n        bind 192.0.2.2:8404\n        bind 10.9.9.9:8404", ""},
		{"bind unix@/run/raw.sock\n        bind /run/other.sock\n        bind abns@raw", ""},
		{"bind quic4@192.0.2.10:80 ssl crt /x.pem", ""},
		{"bind 192.0.2.10:80 namespace other", ""},
		{`bind "${ADDRESS}:80"`, ""},
		{"# bind 192.0.2.10:80", ""},
		{"bind 192.0.2.10:81\n    peers those\n        peer lb1 192.0.2.1:1936", "error:20: peers those listens on port 1936 of 192.0.2.1, which the stats page has already"},
	} {
		t.Run(c.lines, func(t *testing.T) {
			expect(t, listening+"        "+c.lines+"\n", c.want)
		})
	}
}

func TestUnusedVIPs(t *testing.T) {
	const unused = `warning:11: nothing listens on VIP "idle"`
	text := strings.Replace(listening, "stats:", "  - {name: idle, address: 192.0.2.11/24}\nstats:", 1)
	for lines, want := range map[string]string{
		"bind 192.0.2.10:81": unused, "bind 192.0.2.11:81": "", "bind *:81": "", "bind /run/a.sock": unused,
		// the value of a name or a variable is not known here
		"bind idle.example.org:81": "", `bind "${IDLE}:81"`: "", "bind fd@4": "",
	} {
		t.Run(lines, func(t *testing.T) { expect(t, text+"        "+lines+"\n", want) })
	}
}

// an address that keepalived.extra adds to a node
func TestListenersKnowKeepalived(t *testing.T) {
	expect(t, listening+"        bind 203.0.113.7:443\nkeepalived:\n  extra: |\n    static_ipaddress {\n        203.0.113.7/32 dev eth0\n    }\n", "")
}

func expect(t *testing.T, text, want string) {
	t.Helper()
	r, err := release.Get("noble")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	problems := Listeners(write(t, text, nil), r)
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s:%d: %s", p.Severity, p.Line, p.Message))
		if p.Severity == diag.Error && p.Hint == "" {
			t.Errorf("the hint does not contain the other place: %v", p)
		}
	}
	if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
		t.Errorf("want %q, got %q", want, got)
	}
}
