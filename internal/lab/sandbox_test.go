package lab_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

func TestSandbox(t *testing.T) {
	sb := labtest.Sandbox(t, "trixie", lab.Interfaces("eth3", "eth4"), lab.Address("eth3", netip.MustParsePrefix("192.168.56.101/24")))
	ctx := t.Context()
	must := func(want int, name string, args ...string) string {
		t.Helper()
		out, status, err := sb.Run(ctx, name, args...)
		if err != nil || status != want {
			t.Fatalf("%s %s: status %d, want %d: %v\n%s", name, strings.Join(args, " "), status, want, err, out)
		}
		return out
	}
	const cfg = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nfrontend f\n bind 192.168.56.101:80\n"
	if err := sb.WriteFile(ctx, "/etc/haproxy/haproxy.cfg", 0o640, "root:haproxy", []byte(cfg)); err != nil {
		t.Fatal(err)
	}
	if got := must(0, "stat", "-c", "%U:%G %a", "/etc/haproxy/haproxy.cfg"); got != "root:haproxy 640\n" {
		t.Errorf("haproxy.cfg is %s", got)
	}
	must(0, "haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg")
	if err := sb.WriteFile(ctx, "/etc/haproxy/haproxy.cfg", 0o640, "", []byte("nonsense\n")); err != nil {
		t.Fatal(err)
	}
	must(1, "haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg")
	const vrrp = "vrrp_instance VI_a {\n state BACKUP\n interface eth4\n virtual_router_id 7\n virtual_ipaddress {\n 192.168.1.32/24 dev eth4\n}\n}\n"
	if err := sb.WriteFile(ctx, "/etc/keepalived/keepalived.conf", 0o600, "", []byte(vrrp)); err != nil {
		t.Fatal(err)
	}
	must(0, "keepalived", "-t", "-f", "/etc/keepalived/keepalived.conf")
	must(0, "sh", "-c", "echo 'table inet t { chain c { type filter hook input priority 0; ip protocol vrrp accept; }; }' | nft -c -f -")
	must(0, "ls", "/sys/class/net/eth3", "/dev/null")
	if out := must(0, "ip", "-4", "-o", "address", "show", "dev", "eth3"); !strings.Contains(out, "192.168.56.101/24") {
		t.Errorf("eth3 does not have its address: %s", out)
	}
}
