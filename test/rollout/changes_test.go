package rollout

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

// wide rolls out a VIP, a service with TLS, a certificate, a map and the firewall at once, compares the nodes with the spec, and
// goes back.
func wide(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(208)))
	p.rollout(t, 0)
	before := p.one(t, converged)
	p.wide(t)
	p.rollout(t, 0)
	p.want(t, before.Number+1, "/etc/haproxy/site.pem", 2)
	p.compare(t)
	if subject := p.handshake(t, net.JoinHostPort(p.address(secure), "443")).Subject.CommonName; subject != "site.example" {
		t.Errorf("the new VIP shows a certificate of %q", subject)
	}
	if out, code := p.run(t, "rollback", p.bake.Spec, "--yes"); code != 0 {
		t.Errorf("exit status %d: %s", code, out)
	}
	p.want(t, before.Number+2, "/etc/haproxy/site.pem", 0)
	p.write(t, p.spec("", server(208)))
	p.compare(t)
	for _, h := range p.hosts() {
		out, _, _ := h.Run(t.Context(), "sh", "-c", "ls /etc/haproxy/site.pem /etc/haproxy/maps/hosts.map /etc/nftables.d/hapair.nft; nft list table inet hapair; systemctl is-enabled hapair-firewall")
		if strings.Contains(out, "chain") || strings.Contains(out, "enabled") {
			t.Errorf("%s still has what was rolled back:\n%s", h.Name, out)
		}
	}
}

// renewed renews the certificate of a service.
func renewed(t *testing.T, p *pair) {
	p.wide(t)
	p.rollout(t, 0)
	old := p.handshake(t, net.JoinHostPort(p.address(secure), "443"))
	p.wide(t)
	p.rollout(t, 0)
	p.want(t, p.before.Number+2, "/etc/haproxy/site.pem", 2)
	if p.handshake(t, net.JoinHostPort(p.address(secure), "443")).Equal(old) {
		t.Error("the VIP shows the old certificate")
	}
	p.write(t, p.spec("", server(208))) // with one VIP, as it is before other scenarios
	p.rollout(t, 0)
}

// secure is the VIP on which wide adds a service with TLS.
const secure = "192.168.1.33"

// wide writes a spec with one more VIP, a service with TLS, a new certificate, a map and the firewall.
func (p *pair) wide(t *testing.T) {
	t.Helper()
	cert, key := certificate(t)
	for name, data := range map[string][]byte{"site.pem": append(cert, key...), "hosts.map": []byte("a.example web\n")} {
		if err := os.WriteFile(filepath.Join(p.bake.Dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := strings.Replace(string(p.spec("firewall: true\nfiles:\n"+
		"  - {path: /etc/haproxy/site.pem, from: site.pem, mode: \"0640\"}\n"+
		"  - {path: /etc/haproxy/maps/hosts.map, from: hosts.map}\n", server(208))),
		"services:\n", "  - {name: second, address: 192.168.1.33/24, interface: eth4}\nservices:\n"+
			"  - name: secure\n    vip: second\n    port: 443\n    mode: http\n    tls: {certificates: [/etc/haproxy/site.pem]}\n"+
			"    check: {http: GET /, expect: 200}\n    servers:\n      - {name: web_1, address: 192.168.56.201, port: 5000}\n"+
			"    lines: {frontend: \"http-request set-header X-Known %[req.hdr(host),map(/etc/haproxy/maps/hosts.map,no)]\"}\n", 1)
	p.write(t, []byte(spec))
}

// addressAdded gives the VIP one more address, which VRRP also advertises.
func addressAdded(t *testing.T, p *pair) {
	p.onlyIPv4(t)
	p.write(t, []byte(strings.Replace(string(p.spec("", server(208))), "address: 192.168.1.32/24", "address: [192.168.1.32/24, 192.168.1.34/24]", 1)))
	p.rollout(t, 0)
	p.want(t, p.before.Number+1, "192.168.1.34", 2)
}

// parted changes the virtual router ID: nodes with different ones do not hear each other. On the way back, haproxy must be restarted
// at the same time, so that the last node has to leave the service while the others are in maintenance.
func parted(t *testing.T, p *pair) {
	p.write(t, []byte(strings.Replace(string(p.spec("", server(208))), "interface: eth4}", "interface: eth4, virtual_router_id: 77}", 1)))
	if out := p.rollout(t, 0); !strings.Contains(out, specName(p.other)+": hand the virtual IPs over") || strings.Contains(out, specName(p.holder)+": hand") {
		t.Errorf("not only the first node was in maintenance meanwhile: %s", out)
	}
	p.want(t, p.before.Number+1, "more_208", 2)
	checkRouterID(t, p, true)
	editDropIn(t, p)
	p.write(t, p.spec("", server(208)))
	if out := p.rollout(t, 0); !strings.Contains(out, ": restart haproxy.service\n") {
		t.Errorf("haproxy was not restarted: %s", out)
	}
	p.want(t, p.before.Number+2, "more_208", 2)
	checkRouterID(t, p, false)
}

func checkRouterID(t *testing.T, p *pair, changed bool) {
	t.Helper()
	for _, h := range p.hosts() {
		if got := strings.Contains(file(t, h, wellknown.KeepalivedConfig), "virtual_router_id 77"); got != changed {
			t.Errorf("%s has the changed virtual router ID: %v, want %v", h.Name, got, changed)
		}
	}
}

const dropIn = "/usr/lib/systemd/system/haproxy.service.d/hapair.conf"

// editDropIn edits a drop-in of haproxy's unit on both nodes. The next rollout overwrites it and restarts haproxy.
func editDropIn(t *testing.T, p *pair) {
	t.Helper()
	for _, h := range p.hosts() {
		if err := cluster.Pipe(t.Context(), h, "\n# edited\n", `cat >>"$1"`, dropIn); err != nil {
			t.Fatal(err)
		}
	}
}

// restarted rolls out what needs a restart of haproxy: each node hands the VIP over before.
func restarted(t *testing.T, p *pair) {
	editDropIn(t, p)
	p.write(t, p.spec("", server(208)))
	if out := p.rollout(t, 0); !strings.Contains(out, "restart haproxy.service") {
		t.Errorf("haproxy was not restarted: %s", out)
	}
	p.want(t, p.before.Number+1, "# edited", 0)
	for _, h := range p.hosts() {
		if strings.Contains(file(t, h, dropIn), "# edited") {
			t.Errorf("%s has the edited drop-in", h.Name)
		}
		if out, err := h.Must(t.Context(), "systemctl", "show", "-P", "NeedDaemonReload", "haproxy"); err != nil || strings.TrimSpace(out) != "no" {
			t.Errorf("%s: systemd has not read the drop-in: %v %s", h.Name, err, out)
		}
	}
}

// ownConfig rolls out a haproxy.cfg of the operator's own, with which haproxy takes other arguments, and goes back.
func ownConfig(t *testing.T, p *pair) {
	p.onlyIPv4(t)
	own := "global\n    maxconn 100\n    log /dev/log local0\ndefaults\n    mode http\n    log global\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n" +
		"frontend own\n    bind 192.168.1.32:5000\n    default_backend web\nbackend web\n    server web_1 192.168.56.201:5000 check\n"
	if err := os.WriteFile(filepath.Join(p.bake.Dir, "own.cfg"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, _, _ := strings.Cut(string(p.spec("")), "services:\n")
	p.write(t, []byte(spec+"haproxy: {config: own.cfg}\n"+p.access()))
	p.rollout(t, 0)
	p.want(t, p.before.Number+1, "frontend own", 2)
	p.compare(t)
	if out, code := p.run(t, "rollback", p.bake.Spec, "--yes"); code != 0 {
		t.Errorf("exit status %d: %s", code, out)
	}
	p.want(t, p.before.Number+2, "frontend own", 0)
}
