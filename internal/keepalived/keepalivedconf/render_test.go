package keepalivedconf

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/validator"
)

func address(s string) spec.Address {
	if p, err := netip.ParsePrefix(s); err == nil {
		return spec.Address{Addr: p.Addr(), Bits: p.Bits()}
	}
	return spec.Address{Addr: netip.MustParseAddr(s)}
}

func pair() *spec.Spec {
	return &spec.Spec{
		Cluster: "c",
		Nodes: []spec.Node{
			{Name: "a", Interface: "eth0", Addresses: []spec.Address{address("192.0.2.1/24")}},
			{Name: "b", Interface: "eth0", Addresses: []spec.Address{address("192.0.2.2/24")}},
		},
		VIPs: []spec.VIP{{Name: "v", Interface: "eth1", VirtualRouterID: 7, Addresses: []spec.Address{address("198.51.100.1/24"), address("2001:db8::1")}}},
		VRRP: spec.VRRP{AdvertInt: 250 * time.Millisecond, Transport: spec.Unicast},
	}
}

func mustRender(t *testing.T, s *spec.Spec, v release.Version) string {
	t.Helper()
	out, err := Render(s, &s.Nodes[0], v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestRenderByVersion(t *testing.T) {
	for _, c := range []struct {
		version     release.Version
		reloadCheck bool
		testID      bool
		yields      bool
	}{
		{release.Version{2, 2, 4}, true, false, false},
		{release.Version{2, 2, 5}, false, true, false},
		{release.Version{2, 2, 7}, false, true, false},
		{release.Version{2, 2, 8}, true, false, true},
		{release.Version{2, 3, 4}, true, false, true},
	} {
		out := mustRender(t, pair(), c.version)
		if got := strings.Contains(out, "reload_check_config"); got != c.reloadCheck {
			t.Errorf("%v: reload_check_config is %v, want %v", c.version, got, c.reloadCheck)
		}
		if got := strings.Contains(out, "@^hapair-test script_user hapair-check"); got != c.testID {
			t.Errorf("%v: script_user by config-id is %v, want %v", c.version, got, c.testID)
		}
		if got := strings.Contains(out, "    timer_expired_backup\n"); got != c.yields {
			t.Errorf("%v: timer_expired_backup is %v, want %v", c.version, got, c.yields)
		}
	}
}

// keepalived ignores a track_file with a weight in a group, and its test fails.
func TestGroupHasNoBonus(t *testing.T) {
	s := pair()
	s.VIPs = append(s.VIPs, spec.VIP{Name: "w", Interface: "eth1", VirtualRouterID: 8, Addresses: []spec.Address{address("198.51.100.2/24")}})
	s.Keepalived.Extra = "vrrp_sync_group g {\n  group {\n    VI_w OTHER\n  }\n}\n"
	single, grouped, _ := strings.Cut(mustRender(t, s, release.Version{2, 2, 7}), "vrrp_instance VI_w {")
	if !strings.Contains(single, "        holder_VI_v\n") || !strings.Contains(single, "priority 251\n") {
		t.Errorf("the instance without a group lacks its holder's file or priority:\n%s", single)
	}
	if strings.Contains(single+grouped, "holder_VI_w") || !strings.Contains(grouped, "priority 254\n") || !strings.Contains(grouped, "of a vrrp_sync_group") {
		t.Errorf("the instance in a group has a holder's file, or not its priority:\n%s", grouped)
	}
}

func TestRenderInstance(t *testing.T) {
	s := pair()
	out := mustRender(t, s, release.Version{2, 2, 8})
	for _, want := range []string{
		"router_id a\n", "state BACKUP\n    nopreempt\n", "advert_int 0.25\n", "priority 251\n", "    weight 3\n", "        haproxy\n        holder_VI_v\n", "unicast_src_ip 192.0.2.1\n",
		"unicast_peer {\n        192.0.2.2\n    }", "track_interface {\n        eth1\n    }",
		"virtual_ipaddress {\n        198.51.100.1/24 dev eth1\n    }", "virtual_ipaddress_excluded {\n        2001:db8::1/128 dev eth1\n    }",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	s.VRRP.Preempt, s.VRRP.Transport, s.VIPs[0].Prefer, s.VIPs[0].Interface = true, spec.Multicast, "b", "eth0"
	out = mustRender(t, s, release.Version{2, 2, 8})
	for _, not := range []string{"nopreempt", "timer_expired_backup", "unicast", "track_interface", "holder", "priority 254"} {
		if strings.Contains(out, not) {
			t.Errorf("%q must not be in\n%s", not, out)
		}
	}
	if !strings.Contains(out, "mcast_src_ip 192.0.2.1\n") {
		t.Errorf("the source address of multicast is missing:\n%s", out)
	}
}

func TestRenderRefusesInvalidWords(t *testing.T) {
	for _, name := range []string{"a b", "a\nb", "a#b", "a!b", `a"b`, "a{b", "$a", "@a", ""} {
		s := pair()
		s.Nodes[0].Name = name
		if name == "" {
			s.Nodes[0].Name, s.Nodes[0].Interface = "a", ""
		}
		if out, err := Render(s, &s.Nodes[0], release.Version{2, 2, 8}); err == nil {
			t.Errorf("the invalid name %q was rendered:\n%s", name, out)
		}
	}
}

// The firewall accepts only advertisements with a hop limit of 255. keepalived uses it by default for IPv4 and for
// multicast.
func TestUnicastTTLOverIPv6(t *testing.T) {
	s := pair()
	for _, transport := range []spec.Transport{spec.Unicast, spec.Multicast} {
		s.VRRP.Transport = transport
		if out := mustRender(t, s, release.Version{2, 2, 8}); strings.Contains(out, "unicast_ttl") {
			t.Errorf("unicast_ttl is set for IPv4 and %s:\n%s", transport, out)
		}
	}
	s.VRRP.Transport = spec.Unicast
	s.Nodes[0].Addresses, s.Nodes[1].Addresses = []spec.Address{address("2001:db8:5::1/64")}, []spec.Address{address("2001:db8:5::2/64")}
	s.VIPs[0].Addresses = []spec.Address{address("2001:db8::1/64")}
	if out := mustRender(t, s, release.Version{2, 2, 8}); !strings.Contains(out, "    unicast_ttl 255\n") {
		t.Errorf("unicast_ttl is missing for IPv6:\n%s", out)
	}
}

func TestRenderNeedsAFamily(t *testing.T) {
	s := pair()
	s.VIPs[0].Addresses = []spec.Address{address("2001:db8::1/64")}
	if _, err := Render(s, &s.Nodes[0], release.Version{2, 2, 8}); err == nil || !strings.Contains(err.Error(), "family") {
		t.Errorf("an IPv6 VIP with IPv4 nodes: %v", err)
	}
}

// TestTest uses a fake keepalived 2.2.7, whose test is ended by SIGTERM unless it has the config-id.
func TestTest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(path, []byte(mustRender(t, pair(), release.Version{2, 2, 7})), 0o600); err != nil {
		t.Fatal(err)
	}
	var calls [][]string
	dying := func(_ context.Context, name string, args ...string) (validator.Result, error) {
		calls = append(calls, args)
		if slices.Contains(args, "-i") {
			return validator.Result{Status: 5, Output: "Unknown keyword 'x'\n"}, nil
		}
		return validator.Result{Status: 143}, nil
	}
	if a := keepalived.Test(t.Context(), dying, path); a.Verdict != validator.Bad || a.Reason() != "Unknown keyword 'x'" {
		t.Errorf("verdict %v (%s) after %v, want bad", a.Verdict, a.Reason(), calls)
	}
	if err := os.WriteFile(path, Base(release.Version{2, 2, 8}), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := keepalived.Test(t.Context(), dying, path); a.Verdict != validator.None {
		t.Errorf("verdict on a file with only one script_user: %v (%s), want none", a.Verdict, a.Reason())
	}
	if a := keepalived.Test(t.Context(), dying, filepath.Join(t.TempDir(), "missing")); a.Verdict != validator.Bad {
		t.Errorf("verdict on a missing file: %v, want bad", a.Verdict)
	}
}
