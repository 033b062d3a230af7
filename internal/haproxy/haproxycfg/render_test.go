package haproxycfg

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

func pair() *spec.Spec {
	address := func(s string) []spec.Address {
		p := netip.MustParsePrefix(s)
		return []spec.Address{{Addr: p.Addr(), Bits: p.Bits()}}
	}
	return &spec.Spec{
		Cluster: "c",
		Nodes:   []spec.Node{{Name: "a", Interface: "eth0", Addresses: address("192.0.2.1/24")}, {Name: "b", Interface: "eth0", Addresses: address("192.0.2.2/24")}},
		VIPs:    []spec.VIP{{Name: "v", Addresses: address("192.0.2.10/24")}},
		Log:     spec.Log{Target: "/dev/log", Facility: "local0"},
		Services: []spec.Service{{
			Name: "web", VIPs: []string{"v"}, Port: 80, Mode: spec.HTTP, Balance: "url_param id",
			Servers: []spec.Server{{Name: "w", Address: spec.ServerAddress{Addr: netip.MustParseAddr("192.0.2.20")}, Port: 80}},
		}},
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
	for v, want := range map[release.Version]bool{{2, 4, 30}: false, {2, 6, 12}: true, {3, 2, 9}: true} {
		if got := strings.Contains(mustRender(t, pair(), v), "close-spread-time infinite"); got != want {
			t.Errorf("%v: close-spread-time is %v, want %v", v, got, want)
		}
	}
}

func TestRenderService(t *testing.T) {
	const one, two = "\nlisten web\n    mode http\n    bind 192.0.2.10:80\n", "\n    default_backend web\n\nbackend web\n    mode http\n    balance url_param id\n"
	for _, c := range []struct{ defaults, extra, want string }{
		{"option socket-stats", "frontend f\n  default_backend b\nbackend b # not web", one},
		{"timeout client 2m\ndefault_backend x", "", two},
		{"", "frontend f\n  use_backend other if TRUE\n  default_backend web", two},
		{"", "frontend f\n  use_backend %[req.hdr(host),lower]", two},
	} {
		s := pair()
		s.HAProxy.Defaults, s.HAProxy.Extra = c.defaults, c.extra
		out := mustRender(t, s, release.Version{3, 2, 25})
		if !strings.Contains(out, c.want) || strings.Contains(out, "\nfrontend web-frontend\n") == strings.Contains(out, "\nlisten web\n") {
			t.Errorf("%+v: no %q in\n%s", c, c.want, out)
		}
	}
}

func TestRenderLog(t *testing.T) {
	for target, want := range map[string]string{
		"/dev/log":         "    log /dev/log local0\n    chroot",
		"node":             "    log 192.0.2.1:514 local0\n    chroot",
		"192.0.2.1":        "    log 192.0.2.1:514 local0\n    chroot",
		"203.0.113.9:5514": "    log 203.0.113.9:5514 local0\n    log-send-hostname\n",
		"2001:db8::9":      "    log [2001:db8::9]:514 local0\n    log-send-hostname\n",
	} {
		s := pair()
		s.Log.Target = target
		if out := mustRender(t, s, release.Version{2, 8, 0}); !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s", target, want, out)
		}
	}
}

func TestRenderStats(t *testing.T) {
	s := pair()
	s.Stats = &spec.Stats{Port: 1936, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	s.Services[0].Name = "hapair-stats"
	out := mustRender(t, s, release.Version{2, 8, 0})
	for _, want := range []string{"frontend hapair-stats-\n", "bind 192.0.2.1:1936\n", "http-request deny unless allowed\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "userlist") {
		t.Errorf("a list of no users in\n%s", out)
	}
	for _, stats := range []*spec.Stats{{Port: 1936}, {Port: 1936, User: "u", Password: spec.Secret{Env: "NOT_SET"}}} {
		s.Stats = stats
		_, err := Render(s, &s.Nodes[0], release.Version{2, 8, 0})
		var problems diag.Problems
		if !errors.As(err, &problems) || problems[0].Hint == "" {
			t.Errorf("%+v: %v", stats, err)
		}
	}
}

func TestRenderRefusesWhatIsNoWord(t *testing.T) {
	for name, spoil := range map[string]func(*spec.Spec){
		"a line":      func(s *spec.Spec) { s.Services[0].Name = "a\nuser root" },
		"a comment":   func(s *spec.Spec) { s.Services[0].Servers[0].Name = "a#" },
		"a quote":     func(s *spec.Spec) { s.Services[0].TLS = &spec.TLS{Certificate: `/a"b`} },
		"a tab":       func(s *spec.Spec) { s.Services[0].Balance = "source\thash" },
		"a space":     func(s *spec.Spec) { s.Services[0].Check = &spec.Check{HTTP: "GET /a b"} },
		"a backslash": func(s *spec.Spec) { s.Log.Target = `/dev/log\` },
	} {
		s := pair()
		spoil(s)
		if out, err := Render(s, &s.Nodes[0], release.Version{2, 8, 0}); err == nil {
			t.Errorf("%s got into\n%s", name, out)
		}
	}
}

func TestOwnConfigReplacesAll(t *testing.T) {
	s := pair()
	s.HAProxy.Config, s.HAProxy.ConfigContent = "own.cfg", []byte("global\n")
	if out := mustRender(t, s, release.Version{2, 8, 0}); out != "global\n" {
		t.Errorf("%q", out)
	}
}

// A listener of one IPv6 address must say v6only, or no reload takes it over.
func TestBindOfIPv6SaysV6Only(t *testing.T) {
	for at, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1:80", "[2001:db8::1]:80": "[2001:db8::1]:80 v6only", "[::]:80": "[::]:80", "0.0.0.0:80": "0.0.0.0:80",
	} {
		if got := bind(netip.MustParseAddrPort(at)); got != want {
			t.Errorf("bind(%s) = %q, want %q", at, got, want)
		}
	}
}
