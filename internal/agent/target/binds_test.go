package target

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestBindable(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ conf, want string }{
		{"frontend a\n bind 127.0.0.1:0\n bind 127.0.0.1:65001\n bind 127.0.0.1:65001 thread 2\n", ""},
		{"frontend a\n bind 127.0.0.1:65001\nlisten b\n bind 127.0.0.1:65001\n", `bound twice, in "frontend a" and in "listen b"`},
		{fmt.Sprintf("global\n stats socket %s level admin\n", filepath.Join(dir, "x.sock")), ""},
		{fmt.Sprintf("global\n stats socket %s level admin\n", filepath.Join(dir, "no", "x.sock")), "no directory for the socket"},
		{fmt.Sprintf("global\n chroot %s\n", dir), ""},
		{fmt.Sprintf("global\n chroot %s\n", filepath.Join(dir, "no")), "for haproxy's chroot"},
	} {
		err := bindable(tt.conf)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.conf, err, tt.want)
		}
	}
}

// Each of these addresses made the agent panic in an earlier version.
func TestBindableAcceptsEveryFormOfIPv6(t *testing.T) {
	for _, tt := range []struct{ bind, want string }{
		{"[::1]:65002", ""},
		{"::1:65002", ""},
		{":::65002", ""},
		{":::65002 v4v6", ""},
		{":::65002 v6only", ""},
		{"[::]:65002,*:65002", ""},
		{"ipv6@:65002", ""},
		{"ipv6@*:65002 v6only", ""},
		{"::ffff:127.0.0.1:65002", ""},
		{"::ffff:127.0.0.1:65002 v6only", "which v6only does not allow"},
		{"::1%lo:65002", ""}, // haproxy -c refuses it
		{"::1:65002 interface lo", ""},
		{"127.0.0.1:65002 interface nosuch0", `the interface "nosuch0": it does not exist`},
		{"fe80::1:65002", `needs the option "interface"`},
	} {
		err := bindable("frontend a\n bind " + tt.bind + "\n")
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("bind %s: %v, want %q", tt.bind, err, tt.want)
		}
	}
}

// Two proxies may bind the same address on two interfaces.
func TestBindableDistinguishesInterfaces(t *testing.T) {
	const conf = "frontend a\n bind :::65003 interface lo\nfrontend b\n bind :::65003\n"
	if err := bindable(conf); err != nil {
		t.Error(err)
	}
	if err := bindable(strings.ReplaceAll(conf, " interface lo", "")); err == nil {
		t.Error("the same address in two proxies was accepted")
	}
}

func TestBindableNamesAddressInUse(t *testing.T) {
	for _, addr := range []string{"[::1]:0", "[::]:0", "127.0.0.1:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := bindable("frontend a\n bind " + l.Addr().String() + "\n"); err == nil || !strings.Contains(err.Error(), "is taken by another program") {
			t.Errorf("bind to an address in use, %v: %v", l.Addr(), err)
		}
	}
}
