package recipe_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

const hostSpec = `
apiVersion: hapair/v1
cluster: alone
nodes:
  - {name: a, address: 192.168.56.101/24, interface: eth3}
  - {name: b, address: 192.168.56.102/24, interface: eth3}
vips: [{name: v, address: 192.168.1.32/24, interface: eth4}]
stats: {user: admin, password: {file: p}, allow: [192.168.56.0/24]}
firewall: true
services:
  - name: web
    vip: v
    port: 443
    mode: http
    tls: {certificate: /etc/haproxy/certs/web.pem}
    servers: [{name: w, address: 192.168.56.201, port: 80}]
`

// TestRecipeOnAHost boots a node's recipe with a real systemd and without its peer, and does what often removes virtual IPs.
func TestRecipeOnAHost(t *testing.T) {
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			s := parseBytes(t, "spec.yaml", []byte(hostSpec))
			h := bootHost(t, s, &s.Nodes[0], r)
			eventually.True(t, patience, "it holds the VIP", h.holdsVIP)

			for _, unit := range []string{"hapair-firewall", "haproxy", "ha-agent", "keepalived"} {
				if out := h.must(t, "systemctl", "is-active", unit); strings.TrimSpace(out) != "active" {
					t.Errorf("%s is %s", unit, out)
				}
			}
			if out := h.must(t, "openssl", "x509", "-noout", "-subject", "-in", "/etc/haproxy/certs/web.pem"); !strings.Contains(out, "placeholder") {
				t.Errorf("the certificate is %s", out)
			}
			if out := h.must(t, "stat", "-c", "%a %U %G", "/etc/haproxy/certs/web.pem"); strings.TrimSpace(out) != "640 root haproxy" {
				t.Errorf("the certificate is %s", out)
			}
			h.must(t, "systemctl", "restart", "systemd-networkd")
			h.must(t, "networkctl", "reload")
			h.must(t, "systemctl", "reload", "haproxy")
			h.steadilyHoldsVIP(t)

			h.must(t, "systemctl", "kill", "-s", "KILL", "keepalived")
			eventually.True(t, patience, "keepalived runs again", func() bool {
				out, _, err := h.Run(deadline(t), "systemctl", "is-active", "keepalived")
				return err == nil && strings.TrimSpace(out) == "active"
			})
			eventually.True(t, patience, "it holds the VIP again", h.holdsVIP)

			h.firewallFails(t)
			if out := h.must(t, "journalctl", "-b", "-p", "warning", "-u", "haproxy", "-u", "keepalived", "-u", "ha-agent", "-o", "cat"); strings.Contains(out, "denied") || strings.Contains(out, "not permitted") {
				t.Errorf("the kernel or systemd denied an operation:\n%s", out)
			}
		})
	}
}

// firewallFails removes the firewall's table, and then breaks its file. Both must be reported, and the VIP must stay.
func (h *bootedHost) firewallFails(t *testing.T) {
	t.Helper()
	verify := func() string {
		out, _, err := h.Run(deadline(t), "ha-agent", "verify")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const loaded = "hapair's firewall is loaded"
	h.must(t, "nft", "flush", "ruleset")
	if out := verify(); !strings.Contains(out, "systemctl restart hapair-firewall.service") {
		t.Errorf("verify does not report that the table is missing:\n%s", out)
	}
	h.must(t, "systemctl", "reload", "hapair-firewall")
	h.must(t, "nft", "list", "table", "inet", "hapair")
	if out := verify(); !strings.Contains(out, loaded) || strings.Contains(out, "systemctl restart hapair-firewall.service") {
		t.Errorf("verify does not report that the table is back:\n%s", out)
	}

	const rules = "/etc/nftables.d/hapair.nft"
	good, err := h.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.WriteFile(rules, 0o644, []byte("nonsense\n")); err != nil {
		t.Fatal(err)
	}
	if _, status, err := h.Run(deadline(t), "systemctl", "restart", "hapair-firewall"); err != nil || status == 0 {
		t.Fatalf("nft accepted an invalid file: %v", err)
	}
	if out, _, err := h.Run(deadline(t), "ha-agent", "status"); err != nil || !strings.Contains(out, "NOT LOADED: hapair-firewall.service is failed") {
		t.Errorf("status does not report that the firewall is not loaded: %v\n%s", err, out)
	}
	if out := verify(); !strings.Contains(out, "systemctl status hapair-firewall.service") {
		t.Errorf("verify does not report that the firewall is not loaded:\n%s", out)
	}
	h.must(t, "systemctl", "restart", "keepalived") // a node that boots in this state must serve
	eventually.True(t, patience, "it holds the VIP", h.holdsVIP)
	if err := h.WriteFile(rules, 0o644, good); err != nil {
		t.Fatal(err)
	}
	h.must(t, "systemctl", "restart", "hapair-firewall")
}

// bootedHost is a host of the lab that was booted from a recipe.
type bootedHost struct{ *lab.Host }

func bootHost(t *testing.T, s *spec.Spec, n *spec.Node, r release.Release) *bootedHost {
	t.Helper()
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	node, err := recipe.Node(s, n, r)
	if err != nil {
		t.Fatal(err)
	}
	l := labtest.Lab(t)
	base, err := l.Directory(labtest.Root(t, r.Name, lab.NodePackages()...))
	if err != nil {
		t.Fatal(err)
	}
	host, err := l.AddHost(lab.HostConfig{Name: "a", Base: base, Seed: networkSeed(t, node),
		Interfaces: []lab.Interface{{Name: "eth3", Network: "management"}, {Name: "eth4", Network: "public"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := &bootedHost{host}
	whole := recipe.Merge(image, node)
	for _, f := range whole.Files {
		if err := h.WriteFile(f.Path, f.Mode, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.WriteFile(whole.Agent, 0o755, gotool.Agent(t)); err != nil {
		t.Fatal(err)
	}
	for _, u := range whole.Units {
		dropIn := "[Unit]\nWants=" + u.Name + "\n"
		if err := h.WriteFile("/etc/systemd/system/multi-user.target.d/"+u.Name+".conf", 0o644, []byte(dropIn)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := deadline(t)
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.WaitRunning(ctx); err != nil {
		t.Fatalf("%v\n%s", err, h.Logs(ctx, 100))
	}
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			t.Log(h.Logs(ctx, 80))
		}
	})
	return h
}

// networkSeed configures the host's network with the real cloud-init.
func networkSeed(t *testing.T, node recipe.Recipe) string {
	t.Helper()
	network, err := yaml.Marshal(node.Network.Config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"meta-data": "instance-id: a\nlocal-hostname: " + node.Hostname + "\n", "user-data": "#cloud-config\nlocale: false\n", "network-config": string(network),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (h *bootedHost) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := h.Must(deadline(t), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *bootedHost) holdsVIP() bool {
	ok, err := h.Holds(netip.MustParseAddr("192.168.1.32"))
	return ok && err == nil
}

// steadilyHoldsVIP checks for two seconds that the VIP stays: systemd-networkd needs some time to find foreign addresses,
// and keepalived to add a removed one again.
func (h *bootedHost) steadilyHoldsVIP(t *testing.T) {
	t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for end := time.After(2 * time.Second); ; {
		select {
		case <-end:
			return
		case <-ticker.C:
			said := h.must(t, "journalctl", "-b", "-u", "keepalived", "-o", "cat")
			if n := strings.Count(said, "Entering MASTER STATE"); n != 1 || !h.holdsVIP() {
				t.Fatalf("the VIP did not stay: keepalived became master %d times\n%s", n, said)
			}
		}
	}
}
