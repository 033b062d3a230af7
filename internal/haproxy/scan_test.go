package haproxy

import (
	"fmt"
	"testing"
)

func TestBindsAreThoseThatCanBeReadWithoutHAProxy(t *testing.T) {
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
    # bind 10.0.0.7:90
backend b
    bind 10.0.0.8:91
  listen c
  bind 10.0.0.9:92
`
	const want = "[10.0.0.1:80 10.0.0.2:80 0.0.0.0:81 0.0.0.0:82 [2001:db8::1]:83 [::]:84 10.0.0.3:85 10.0.0.9:92]"
	if got := fmt.Sprint(Binds(conf)); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestLogTargetsAreTheGlobalOnes(t *testing.T) {
	const conf = "global\n  log /dev/log local0\nlog 10.0.0.1:514 local1\ndefaults\n  log global\nfrontend f\n  log 10.0.0.2 local0\n"
	if got := fmt.Sprint(LogTargets(conf)); got != "[/dev/log 10.0.0.1:514]" {
		t.Fatalf("got %s", got)
	}
}

func FuzzBinds(f *testing.F) {
	f.Add("frontend a\nbind [::]:80,*:81\n")
	f.Add("listen a\n bind :\n bind ipv6@[:0\n")
	f.Fuzz(func(t *testing.T, conf string) {
		for _, at := range Binds(conf) {
			if !at.IsValid() || at.Port() == 0 {
				t.Fatalf("%v out of %q", at, conf)
			}
		}
	})
}
