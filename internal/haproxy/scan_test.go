package haproxy

import (
	"fmt"
	"slices"
	"testing"
)

func TestBinds(t *testing.T) {
	const conf = `global
    bind 10.9.9.9:1
frontend a # a comment
    bind 10.0.0.1:80,10.0.0.2:80 name x
    bind *:81
    bind :82 ssl crt /x.pem
    bind [2001:db8::1]:83
    bind :::84
    bind ipv4@10.0.0.3:85
    bind "${ADDRESS}:86"
    bind 10.0.0.4:1000-1010
    bind /run/x.sock
    bind fd@3
    bind host.example:87
    bind 10.0.0.5:88 namespace blue
    bind 10.0.0.6:89 transparent
    bind fe80::1:90 interface eth0
    bind fe80::2%eth0:90
    bind [fe80::3%eth0]:90
    bind ipv6@:91 v4v6
    bind ipv6@*:92 v4v6 v6only
    bind ::ffff:10.0.0.7:93
    bind [::1:94
    bind ::1]:94
    # bind 10.0.0.7:90
backend b
    bind 10.0.0.8:91
  listen c
  bind 10.0.0.9:92
`
	const want = "[10.0.0.1:80 10.0.0.2:80 0.0.0.0:81 0.0.0.0:82 [2001:db8::1]:83 [::]:84 10.0.0.3:85 " +
		"[fe80::1]:90 [::]:91 [::]:92 [::ffff:10.0.0.7]:93 10.0.0.9:92]"
	binds := Binds(conf)
	var got []string
	for _, b := range binds {
		got = append(got, b.AddrPort.String())
	}
	if fmt.Sprint(got) != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if first, last := binds[0].Proxy, binds[len(binds)-1].Proxy; first != "frontend a" || last != "listen c" {
		t.Errorf("the binds are of the proxies %q and %q", first, last)
	}
	for port, want := range map[uint16]Bind{84: {}, 90: {Interface: "eth0"}, 91: {V6: V4V6}} {
		i := slices.IndexFunc(binds, func(b Bind) bool { return b.Port() == port })
		if binds[i].Interface != want.Interface || binds[i].V6 != want.V6 {
			t.Errorf("bind %+v, want the options of %+v", binds[i], want)
		}
	}
	if i := slices.IndexFunc(binds, func(b Bind) bool { return b.Addr().Is6() && b.Port() == 92 }); binds[i].V6 != V6Only {
		t.Errorf("bind %+v, want v6only", binds[i])
	}
}

func TestChrootIsTheFirstOfTheGlobalSection(t *testing.T) {
	for conf, want := range map[string]string{
		"global\n  chroot /var/lib/haproxy\n  chroot /other\n": "/var/lib/haproxy",
		"defaults\n  chroot /x\n":                              "",
		"global\n  chroot \"$DIR\"\n":                          "",
	} {
		if got := Chroot(conf); got != want {
			t.Errorf("chroot of %q is %q, want %q", conf, got, want)
		}
	}
}

func TestUnixSockets(t *testing.T) {
	const conf = `global
    stats socket /run/haproxy/admin.sock mode 660 level admin
    stats socket ipv4@127.0.0.1:9999
    stats socket "$SOCKET"
frontend a
    bind unix@/run/a.sock mode 600
    bind /run/b.sock,:80
    bind abns@c
    bind fd@3
`
	if got := fmt.Sprint(UnixSockets(conf)); got != "[/run/haproxy/admin.sock /run/a.sock /run/b.sock]" {
		t.Errorf("UNIX sockets are %s", got)
	}
	if got := UnixSockets("global\n unix-bind prefix /x\n stats socket /run/y\n"); got != nil {
		t.Errorf("UNIX sockets are %s, want none, because unix-bind adds a prefix", got)
	}
}

func TestLogTargetsAreTheGlobalOnes(t *testing.T) {
	const conf = "global\n  log /dev/log local0\nlog 10.0.0.1:514 local1\ndefaults\n  log global\nfrontend f\n  log 10.0.0.2 local0\n"
	if got := fmt.Sprint(LogTargets(conf)); got != "[/dev/log 10.0.0.1:514]" {
		t.Fatalf("log targets are %s", got)
	}
}

func FuzzBinds(f *testing.F) {
	f.Add("frontend a\nbind [::]:80,*:81\n")
	f.Add("listen a\n bind :\n bind ipv6@[:0\n")
	f.Fuzz(func(t *testing.T, conf string) {
		for _, at := range Binds(conf) {
			if !at.IsValid() || at.Port() == 0 {
				t.Fatalf("bind %v from %q has no address or port", at, conf)
			}
		}
	})
}
