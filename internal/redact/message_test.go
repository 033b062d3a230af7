package redact

import (
	"strings"
	"testing"
)

const config = `
global
    stats socket /run/haproxy/admin.sock mode 660
userlist admins
    user admin password $6$rounds=1000$salt$hashhashhash
    user ops insecure-password "correct horse"
listen stats
    bind 192.0.2.1:1936
    stats auth admin:hunter22
    http-request set-header Authorization "Bearer eyJhbGciOi.J9"
    acl known hdr(X-Api) -m str T0pS3cret&More
frontend web
    default_backend wbe
backend app
    server a1 192.0.2.20:80 chekc inter 2s
    hunterline foo'bar baz"qux
vrrp_instance VI_1 {
    interface eth9
    authentication {
        auth_type PASS
        auth_pass s3cr3t99
    }
}
`

func TestMessage(t *testing.T) {
	for _, tt := range []struct{ message, want string }{
		// Helpful words must be kept.
		{`[ALERT]    (12) : config : parsing [/etc/haproxy/haproxy.cfg:3] : unknown keyword 'user' in 'global' section`,
			`[ALERT] (12) : config : parsing [/etc/haproxy/haproxy.cfg:3] : unknown keyword 'user' in 'global' section`},
		{`[ALERT] : config : Proxy 'web': unable to find required default_backend: 'wbe'.`, `[ALERT] : config : Proxy 'web': unable to find required default_backend: 'wbe'.`},
		{`WARNING - interface eth9 for vrrp_instance VI_1 doesn't exist`, `WARNING - interface eth9 for vrrp_instance VI_1 doesn't exist`},
		{`[x:5] : 'bind' : cannot bind to 192.0.2.1:1936`, `[x:5] : 'bind' : cannot bind to 192.0.2.1:1936`},
		{`'server a1' : unknown keyword 'chekc'.`, `'server a1' : unknown keyword '***'.`},
		{`There are 1 missing '}'s or extra '{'s`, `There are 1 missing '}'s or extra '{'s`},
		// The user's text must be hidden.
		{`unknown keyword 'user admin pasword $6$rounds=1000$salt$hashhashhash'`, `unknown keyword 'user admin *** ***'`},
		{`unknown keyword 'pasword' in 'user x pasword tippfehler'`, `unknown keyword '***' in 'user x *** ***'`},
		{`error near 'stats auth admin:hunter22'`, `error near 'stats auth ***'`},
		{`(/etc/keepalived/keepalived.conf: Line 10) Unknown keyword 's3cr3t99'`, `(/etc/keepalived/keepalived.conf: Line 10) Unknown keyword '***'`},
		{`Truncating auth_pass to 8 characters: auth_pass newer-one`, `Truncating auth_pass to 8 characters: auth_pass ***`},
		{`(Line 21) Unknown keyword s3cr3t99 - ignored`, `(Line 21) Unknown keyword *** - ignored`},
		{`auth_pass longer than 8: s3cr3t9`, `auth_pass longer than 8: ***`},
		{`'stats' keyword 'auht' : hunter22 is not understood`, `'stats' keyword '***' : *** is not understood`},
		{`unexpected T0pS3cret&More after 'str'`, `unexpected *** after 'str'`},
		{`parsing [x:18]: unmatched quote near 'foo'bar baz"qux'`, `parsing [x:18]: unmatched quote near '***`},
		{`parsing [included.cfg:2] : unknown keyword 'other-file' : "pass phrase here"`, `parsing [included.cfg:2] : unknown keyword '***' : "***`},
	} {
		got := NewConfig([]byte(config)).Message(tt.message)
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("message %s\ngot     %s\nwant    %s", tt.message, got, tt.want)
		}
		for _, secret := range []string{"hashhash", "hunter", "s3cr3t", "newer", "tippfehler", "T0pS3", "More", "eyJ", "J9", "horse", "qux", "phrase"} {
			if strings.Contains(got, secret) {
				t.Errorf("message %s\nshows the secret %s: %s", tt.message, secret, got)
			}
		}
	}
}

func TestMessageIsBounded(t *testing.T) {
	got := NewConfig(nil).Message("unknown keyword " + strings.Repeat("x ", 1<<20))
	if n := len([]rune(got)); n > MaxLine+1 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d characters: %.100s", n, got)
	}
}

// FuzzMessage puts a secret into a line of the configuration, and into a message that quotes the line.
func FuzzMessage(f *testing.F) {
	for _, line := range []string{"stats auth", "bogus", "", "user a password", "server s 192.0.2.1", "http-request deny if { hdr(x)"} {
		f.Add(line, "unknown keyword '", "' in section", "check")
		f.Add(line, "error near ", ": ignored", "")
	}
	const secret = "Zq8vXw3kLpTn"
	f.Fuzz(func(t *testing.T, line, before, after, rest string) {
		line = strings.NewReplacer("\n", " ", "#", "").Replace(line) // daemons do not quote comments
		words := strings.Fields(line)
		if len(words) > 0 && names[trim(words[len(words)-1])] {
			return // a name follows, which is shown
		}
		text := line + " " + secret + " " + rest
		got := NewConfig([]byte(text)).Message(before + " " + text + " " + after)
		if strings.Contains(got, secret) {
			t.Errorf("%q about %q shows the secret: %q", before+text+after, text, got)
		}
	})
}
