package recipe_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

const ownSpec = `
apiVersion: hapair/v1
cluster: alone
nodes:
  - {name: a, address: 192.168.56.101/24, interface: eth3}
  - {name: b, address: 192.168.56.102/24, interface: eth3}
vips: [{name: v, address: 192.168.1.32/24, interface: eth4}]
haproxy: {config: own.cfg}
`

const ownServices = `
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend web
    bind 192.168.1.32:80
    default_backend web
backend web
    server w 192.168.56.201:80 check
`

// ownConfigs are complete haproxy.cfg files of users that haproxy accepts, by what is special about them.
var ownConfigs = map[string]string{
	"no sockets": "global\n    log /dev/log local0\n" + ownServices,
	"another user, no chroot, few connections, daemon": "global\n    log /dev/log local0\n    daemon\n    user nobody\n    group nogroup\n" +
		"    stats maxconn 2\n    unix-bind prefix /nonexistent mode 600\n    stats socket /run/own.sock mode 600 level admin\n" + ownServices,
	"as hapair once wrote it": "global\n    log /dev/log local0\n    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n    master-worker\n" +
		"    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners\n" +
		"    stats socket /run/haproxy/check.sock mode 666 level user\n    stats timeout 30s\n" + ownServices,
}

// TestOwnConfigOnAHost boots nodes with a complete haproxy.cfg of the user. They must hold the VIP, and the agent must
// handle the file like a generated one.
func TestOwnConfigOnAHost(t *testing.T) {
	for _, releaseName := range cluster.Span(t) {
		for name, config := range ownConfigs {
			t.Run(releaseName+"/"+name, func(t *testing.T) {
				if name != "another user, no chroot, few connections, daemon" {
					needs.InWide(t, "another file has more that is special")
				}
				s, problems := spec.Parse("spec.yaml", []byte(ownSpec), spec.Sources{ReadFile: func(string) ([]byte, error) { return []byte(config), nil }})
				if problems.HasErrors() {
					t.Fatal(problems)
				}
				r, err := release.Get(releaseName)
				if err != nil {
					t.Fatal(err)
				}
				h := bootHost(t, s, &s.Nodes[0], r)
				eventually.True(t, patience, "it holds the VIP", h.holdsVIP)
				eventually.True(t, patience, "all is proven", func() bool { return h.status(t).LastChange != nil })
				h.verify(t)
				h.must(t, "systemctl", "restart", "haproxy")
				eventually.True(t, patience, "haproxy answers", func() bool { return h.status(t).HAProxy.Answers })

				h.edit(t, "a good one", wellknown.HAProxyConfig, config+"# more\n", journal.Proven, "")
				h.edit(t, "a bad one", wellknown.HAProxyConfig, config+"nonsense\n", journal.Refused, "unknown keyword")
				h.edit(t, "the check's socket twice", wellknown.HAProxyConfig, config+"global\n"+
					strings.Repeat("    stats socket /run/haproxy/check.sock mode 666\n", 2), journal.Refused, "stats socket /run/haproxy/check.sock")
				h.edit(t, "good again", wellknown.HAProxyConfig, config+"# more again\n", journal.Proven, "")
				h.edit(t, "no worker starts on it", wellknown.HAProxyConfig, strings.Replace(config, "global\n", "global\n    stats socket /proc/x.sock\n", 1),
					journal.RolledBack, "")
				if strings.Contains(config, "check.sock") {
					without := strings.ReplaceAll(config, "    stats socket /run/haproxy/check.sock mode 666 level user\n", "")
					h.edit(t, "without the check's socket", wellknown.HAProxyConfig, without, journal.Refused, "no \"stats socket /run/haproxy/check.sock\"")
				} else {
					h.edit(t, "without hapair's sockets", "/etc/haproxy/hapair.cfg", "global\n    stats maxconn 5\n", journal.Refused, "no \"stats socket")
				}
				// A refused file stays until haproxy is started. Then the guard restores the last known good file.
				h.must(t, "rm", "-f", "/etc/haproxy/hapair.cfg")
				h.must(t, "systemctl", "restart", "haproxy")
				eventually.True(t, patience, "haproxy answers", func() bool { return h.status(t).HAProxy.Answers })
				eventually.True(t, patience, "it holds the VIP", h.holdsVIP)
				h.must(t, "ha-agent", "check")
			})
		}
	}
}

// verify reports each failed step of ha-agent verify, except that units are enabled, because the lab starts them itself.
func (h *bootedHost) verify(t *testing.T) {
	t.Helper()
	out, _, err := h.Run(deadline(t), "ha-agent", "verify")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "NOT") && !strings.Contains(line, " is enabled") {
			t.Errorf("ha-agent verify: %s", line)
		}
	}
}

func (h *bootedHost) status(t *testing.T) control.Status {
	t.Helper()
	var s control.Status
	out, _, err := h.Run(deadline(t), "ha-agent", "status", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return control.Status{} // the agent does not run yet
	}
	return s
}

// edit saves a file, waits for the agent's verdict, and checks that the VIP stays.
func (h *bootedHost) edit(t *testing.T, what, path, content string, want journal.Verdict, reason string) {
	t.Helper()
	before := h.status(t).LastChange
	if err := h.WriteFile(path, 0o644, []byte(content)); err != nil {
		t.Fatal(err)
	}
	var got journal.Change
	eventually.True(t, patience, what+" has a verdict", func() bool {
		last := h.status(t).LastChange
		if last == nil || last.Number == before.Number {
			return false
		}
		got = *last
		return true
	})
	if got.Verdict != want || !strings.Contains(got.Reason, reason) {
		t.Errorf("after the edit of %s, the verdict is %s, want %s because of %q: %s", what, got.Verdict, want, reason, fmt.Sprint(got.Reason))
	}
	eventually.True(t, patience, what+": haproxy answers", func() bool { return h.status(t).HAProxy.Answers })
	eventually.True(t, patience, what+": the node holds the VIP", h.holdsVIP)
}
