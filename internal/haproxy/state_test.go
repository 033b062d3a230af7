package haproxy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStateFor takes the states of servers that the configuration has as they were. haproxy 2.8 printed the answer.
func TestStateFor(t *testing.T) {
	const head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"
	line := func(proxy, server, address, port, tls, check string) string {
		return strings.Join([]string{"3", proxy, "1", server, address, "2", "8", "1", "1", "10", check, "3", "4", "6", "0", "0", "0", "-", port, "-", tls, "0", "-", "-", "0"}, " ") + "\n"
	}
	const conf = `
listen web
    server same 192.0.2.1:80 check
    server moved 192.0.2.2:8181
    server secured 192.0.2.3:80 ssl verify none
    server tls "192.0.2.4:443" check ssl
    server six [2001:db8::1]:82 # ssl
backend other
    server same 192.0.2.9:80
`
	answer := head + line("web", "same", "192.0.2.1", "80", "0", "15") + line("web", "moved", "192.0.2.2", "81", "0", "15") +
		line("web", "secured", "192.0.2.3", "80", "0", "15") + line("web", "tls", "192.0.2.4", "443", "1", "15") +
		line("web", "six", "2001:db8::1", "82", "0", "15") + line("other", "same", "192.0.2.1", "80", "0", "15") + line("gone", "same", "192.0.2.1", "80", "0", "15") + "\n"
	want := head + line("web", "same", "192.0.2.1", "80", "0", "1") + line("web", "tls", "192.0.2.4", "443", "1", "1") + line("web", "six", "2001:db8::1", "82", "0", "1")
	got, err := stateFor(conf, answer)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestStateOfAnUnknownVersion(t *testing.T) {
	for _, answer := range []string{"", "2\n# be_id\n", "Permission denied\n"} {
		if got, err := stateFor("", answer); err == nil {
			t.Errorf("%q: got %q, want an error", answer, got)
		}
	}
}
