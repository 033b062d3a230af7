package tool

import (
	"strings"
	"testing"
)

func TestMaskSecrets(t *testing.T) {
	const config = `
userlist admins
    user admin password $6$rounds=1000$salt$hashhashhash
    user ops insecure-password "correct horse"
listen stats
    stats auth admin:hunter22
vrrp_instance VI_1 {
    authentication {
        auth_type PASS
        auth_pass s3cr3t99
    }
}
`
	for _, tt := range []struct{ message, want string }{
		{`[ALERT] parsing [/etc/haproxy/haproxy.cfg:3] : unknown keyword 'user admin pasword $6$rounds=1000$salt$hashhashhash'`, "(secret)"},
		{`unknown keyword 'pasword' in 'user x pasword tippfehler'`, "pasword (secret)"},
		{`error near 'stats auth admin:hunter22'`, "stats auth (secret)"},
		{`(/etc/keepalived/keepalived.conf: Line 10) Unknown keyword 's3cr3t99'`, "'(secret)'"},
		{`Truncating auth_pass to 8 characters: auth_pass newer-one`, "auth_pass (secret)"},
		{`'stats' keyword 'auht' : hunter22 is not understood`, "(secret) is not understood"},
		{`[ALERT] parsing [x:5] : 'bind' : no port in 'nonsense'`, "no port in 'nonsense'"},
	} {
		got := MaskSecrets([]string{tt.message}, []byte(config))[0]
		if !strings.Contains(got, tt.want) {
			t.Errorf("%q became %q, want %q in it", tt.message, got, tt.want)
		}
		for _, secret := range []string{"hashhashhash", "hunter22", "s3cr3t99", "newer-one", "tippfehler"} {
			if strings.Contains(got, secret) {
				t.Errorf("%q shows %s", got, secret)
			}
		}
	}
}
