package agent

import (
	"fmt"
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
