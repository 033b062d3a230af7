package judge

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// TestRefusedLinesAreNotShown lets haproxy refuse lines with a secret, in each place that its messages quote.
func TestRefusedLinesAreNotShown(t *testing.T) {
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	sh := shellOf(labtest.Sandbox(t, "trixie"))
	for _, lines := range []string{
		"global: hunter2 x", "global: set-var proc.x strr(hunter2)", "global: setenv hunter2", "global: nbthread hunter2",
		"defaults: hunter2", "defaults: option hunter2", "defaults: timeout client hunter2", "defaults: balance hunter2",
		"extra: 'userlist u\n  user a pasword hunter2'", "extra: 'userlist u\n  user a password hunter2 groups hunter2'",
		"extra: 'listen a\n  stats auht a:hunter2'",
		"extra: 'listen a\n  http-request set-header Authorization Bearer hunter2'",
		"extra: 'listen a\n  http-request set-heder Authorization hunter2'",
		"extra: 'listen a\n  acl x hdrr(Authorization) hunter2'", "extra: 'listen a\n  server s hunter2:x'",
		"extra: 'listen a\n  option httpchk GET / HTTP/1.1 hunter2 hunter2 \"hunter2'", "extra: 'hunter2'",
		"extra: 'listen a\n  bind :1 ssl crt /none/hunter2.pem nonsense'", "extra: 'listen a\n  server s 192.0.2.1 hunter2'",
		"extra: 'listen a\n  " + strings.Repeat("hunter2 ", 100) + "'", "extra: 'listen a\n  description x" + strings.Repeat("hunter2", 300) + "\n  bad'",
	} {
		key, value, _ := strings.Cut(lines, ": ")
		if value[0] == '\'' {
			value = strings.ReplaceAll(strings.ReplaceAll(strings.Trim(value, "'"), `"`, `\"`), "\n", `\n`)
			value = `"` + value + `"`
		}
		problems := here(t, sh, write(t, strings.Replace(head0, "cluster:", "image: {release: trixie}\ncluster:", 1)+"haproxy: {"+key+": "+value+"}\n", nil), r)
		var out bytes.Buffer
		problems.Print(&out)
		if err := problems.PrintJSON(&out); err != nil {
			t.Fatal(err)
		}
		if len(problems) == 0 || strings.Contains(out.String(), "hunter2") {
			t.Errorf("%s is not refused, or its secret is shown:\n%s", lines, out.String())
		}
	}
}
