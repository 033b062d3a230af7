package drill

import (
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/redact"
)

func TestHideQuotes(t *testing.T) {
	const config = "listen a\n    stats auht admin:hunter2\n"
	const logs = `Nov 26 10:00:00.123456 lb1 systemd[1]: Starting ssh.service...
Nov 26 10:00:00.223456 lb1 haproxy[12]: [ALERT]    (12) : config : parsing [/etc/haproxy/haproxy.cfg:2] : unknown stats parameter 'auht' 'admin:hunter2'
Nov 26 10:00:00.323456 lb1 systemd[1]: haproxy.service: Failed with result 'exit-code'.`
	got := hideQuotes(redact.NewConfig([]byte(config)), logs)
	if strings.Contains(got, "hunter2") {
		t.Errorf("the secret is shown:\n%s", got)
	}
	for _, want := range []string{"systemd[1]: Starting ssh.service...", "parsing [/etc/haproxy/haproxy.cfg:2] : unknown stats parameter", "haproxy.service: Failed with result"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}
