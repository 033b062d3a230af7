package judge

import (
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/haproxy"
)

// The copy for the daemons must have as many lines as the original, because their messages refer to lines.
func FuzzStubs(f *testing.F) {
	f.Add(everythingElsewhere)
	f.Add("global_defs {\n#\n}\nvrrp_script a { script \"/x y\"\n user a b\n}\nnotify x\nnotify\nscript_user\nfile\n@a include\n")
	f.Add("bind \"a:1 ssl crt\\\n user\\ x\tgroup 'y")
	f.Fuzz(func(t *testing.T, config string) {
		for _, exists := range []map[string]bool{nil, {}} {
			st := &stubs{dir: "/dir", exists: exists, declared: func(string) bool { return false },
				asked: map[string]bool{}, files: map[string]string{}, kinds: map[string]kind{}}
			copied, _ := stubHAProxy(config, st)
			for name, copied := range map[string]string{"haproxy": copied, "keepalived": stubKeepalived(config, st)} {
				if got, want := strings.Count(copied, "\n"), strings.Count(config, "\n"); got != want {
					t.Errorf("%s: %d lines became %d: %q", name, want, got, copied)
				}
			}
		}
		luaStub(config)
		unbalanced(strings.Split(config, "\n"))
		for _, l := range mustListen(config) {
			if l.Low == 0 || l.High < l.Low || !l.Addr.IsValid() {
				t.Errorf("invalid listener %+v", l)
			}
		}
	})
}

func mustListen(config string) []haproxy.Listener {
	all, _ := haproxy.Listeners(config, "lb1")
	return all
}
