package spec

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hapair/hapair/internal/release"
)

// rule is a format for a value that is written to a generated file. Every value that is not passed through has a rule, so that
// a value cannot add a line to a file.
type rule struct {
	pattern *regexp.Regexp
	max     int // bytes
	hint    string
}

func (r rule) accepts(s string) bool {
	return (r.max == 0 || len(s) <= r.max) && r.pattern.MatchString(s)
}

func newRule(pattern string, max int, hint string) rule {
	return rule{regexp.MustCompile(`^(?:` + pattern + `)$`), max, hint}
}

// rules of the names in a spec.
var (
	clusterRule = newRule(`[A-Za-z0-9][A-Za-z0-9_-]*`, 63, `letters, digits, "-" and "_", 63 at most, a letter or digit first`)
	nameRule    = newRule(`[A-Za-z0-9][A-Za-z0-9._-]*`, 63, `letters, digits, "-", "_" and ".", 63 at most, a letter or digit first`)
	// haproxy allows these characters in the name of a proxy or a server (configuration.txt, 4).
	proxyRule = newRule(`[A-Za-z0-9][A-Za-z0-9._:-]*`, 63, `letters, digits, "-", "_", "." and ":", 63 at most, a letter or digit first`)
	// The kernel allows up to 15 bytes (IFNAMSIZ) without "/" and white space. This rule also excludes characters that are
	// unsuitable for file names.
	interfaceRule = newRule(`[A-Za-z0-9][A-Za-z0-9._-]*`, 15, `as "ip link" names it: letters, digits, "-", "_" and ".", 15 at most`)
	// hostname(5): labels of letters, digits and hyphens; the kernel allows 64 bytes.
	hostnameRule = newRule(`[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*`, 64, "")
	// RFC 1123, with "_" as in the names of services.
	dnsRule    = newRule(`[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*`, 253, `labels of letters, digits and hyphens, as in www.example.org`)
	socketRule = newRule(`(unix@)?/[A-Za-z0-9._/-]+|abns@[A-Za-z0-9._/-]+`, 107, "")
	// Debian policy, 5.6.1, without names that apt-get(8) treats differently if there is no such package: "-" at the end of a
	// name means removal, and "." before another character may mean a pattern. The archives have no such names.
	packageRule = newRule(`[a-z0-9](?:-*(?:[a-z0-9+]|\.[a-z0-9]))+`, 128, `a package's name alone: lower-case letters, digits, "+", "-" and "."; "-" and "." not at the end`)
	// useradd(8).
	loginRule = newRule(`[a-z_][a-z0-9_-]*`, 32, `lower-case letters, digits, "-" and "_", 32 at most, a letter or "_" first`)
	// A user of HTTP's basic authentication has no ":" (RFC 7617).
	statsUserRule = newRule(`[A-Za-z0-9][A-Za-z0-9._@+-]*`, 64, `letters, digits, ".", "_", "@", "+" and "-", 64 at most`)
	checkRule     = newRule(`[A-Z]{3,20} (/[A-Za-z0-9._~!$&()*+,;=:@%/?-]*|\*)`, 1024, `a method and a path, as in "GET /health"`)
	pathRule      = newRule(`/[A-Za-z0-9._+@/-]+`, 255, `an absolute path of letters, digits, "-", "_", "." and "/"`)
	// The path of a request, or its beginning (RFC 3986, 3.3).
	uriRule = newRule(`/[A-Za-z0-9._~!$&()*+,;=:@%/-]*`, 1024, `a path as in "/health"`)
	// An HTTP token (RFC 9110, 5.6.2).
	tokenRule = newRule(`[A-Za-z0-9!$&*+.^_~-]+`, 128, "letters, digits, \"-\" and \"_\"")
	mimeRule  = newRule(`[A-Za-z0-9!$&^_.+-]+/[A-Za-z0-9!$&^_.+*-]+`, 128, "a MIME type as in text/html")
	alpnRule  = newRule(`[A-Za-z0-9./_-]+`, 255, "h2, http/1.1 or another protocol's name")
	hexRule   = newRule(`([0-9A-Fa-f]{2})+`, 4096, "pairs of hexadecimal digits")
	sizeRule  = newRule(`[1-9][0-9]*[kmgKMG]?`, 16, "a number with an optional suffix k, m or g")
	// A user of a database, or the greeting of SMTP.
	accountRule = newRule(`[A-Za-z0-9_.@-]+`, 64, `letters, digits, "_", "-", "." and "@"`)
	helloRule   = newRule(`(HELO|EHLO) [A-Za-z0-9.-]+`, 255, `as in "EHLO lb.example.org"`)
	cookieRule  = newRule(`[a-z]+( [A-Za-z0-9._:/=-]+)*`, 512, "as in haproxy's manual under cookie: insert indirect nocache")
	hostRule    = newRule(`[A-Za-z0-9._:\[\]-]+`, 255, "a host name, with a port if need be")
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// IsPackageName reports whether apt treats a text as the name of a package and as nothing else.
func IsPackageName(name string) bool { return packageRule.accepts(name) }

// Facilities of syslog, as haproxy names them (configuration.txt, log).
func Facilities() []string {
	return []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp",
		"audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
}

// algorithm is one of haproxy's balancing algorithms.
type algorithm struct {
	name  string
	rule  *regexp.Regexp
	http  bool            // requires mode http: in mode tcp haproxy warns and uses roundrobin
	since release.Version // of haproxy
}

// algorithms lists the balancing algorithms. Without a version, all supported versions of haproxy have it (configuration.txt,
// balance). The expressions are compiled once, because a spec may have many services.
var algorithms = sync.OnceValue(func() []algorithm {
	arguments := func(s string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + s + `)$`) }
	return []algorithm{
		{name: "roundrobin", rule: arguments("")},
		{name: "static-rr", rule: arguments("")},
		{name: "leastconn", rule: arguments("")},
		{name: "first", rule: arguments("")},
		{name: "source", rule: arguments("")},
		{name: "random", rule: arguments(`(\([1-9][0-9]{0,3}\))?`)},
		{name: "rdp-cookie", rule: arguments(`(\([A-Za-z0-9_-]+\))?`)},
		{name: "uri", rule: arguments(`( whole| path-only| len [1-9][0-9]{0,5}| depth [1-9][0-9]{0,5})*`), http: true},
		{name: "url_param", rule: arguments(` [A-Za-z0-9._~-]+( check_post( [0-9]{1,9})?)?`), http: true},
		{name: "hdr", rule: arguments(`\([A-Za-z0-9-]+\)( use_domain_only)?`), http: true},
		{name: "hash", rule: arguments(` [a-z0-9_.]+(\([A-Za-z0-9_.-]*\))?(,[a-z0-9_]+(\([A-Za-z0-9_.-]*\))?)*`), since: release.Version{2, 6, 0}},
	}
})

// checkBalance returns the reason why a version of haproxy cannot use a value of balance, or nil.
func checkBalance(balance string, mode Mode, v release.Version) (message, hint string) {
	name := balance
	if i := strings.IndexAny(name, " ("); i >= 0 {
		name = name[:i]
	}
	var names []string
	for _, a := range algorithms() {
		names = append(names, a.name)
		if a.name != name {
			continue
		}
		switch {
		case !a.rule.MatchString(balance[len(name):]):
			return fmt.Sprintf("the arguments of %q are not valid", name), "see balance in haproxy's manual"
		case a.http && mode == TCP:
			return fmt.Sprintf("%q needs mode http", name), "in mode tcp haproxy would fall back to roundrobin"
		case v != release.Version{} && !v.AtLeast(a.since[0], a.since[1], a.since[2]):
			return fmt.Sprintf("%q needs haproxy %d.%d; this release has %s", name, a.since[0], a.since[1], v), haveIt(release.Since(a.since))
		}
		return "", ""
	}
	return fmt.Sprintf("%s is not one of haproxy's algorithms", quote(balance)), meant(name, names)
}

// sshKeyTypes are the key types that OpenSSH accepts in every supported release.
func sshKeyTypes() []string {
	return []string{"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
		"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"}
}

// privateKey reports whether a text is a private key in the format of OpenSSH or OpenSSL.
func privateKey(text string) bool { return strings.Contains(text, "PRIVATE KEY") }

// checkSSHKey returns the reason why a line is not a public key in the format of authorized_keys, without options; nil if it
// is.
func checkSSHKey(line string) (message, hint string) {
	const format = "one line as in id_ed25519.pub: ssh-ed25519 AAAA… comment"
	if privateKey(line) {
		return "this is a private key", "it is no longer secret: create a new key pair, and write the public key"
	}
	for _, r := range line {
		if r < ' ' || r == 0x7f {
			return "a key is one line", format
		}
	}
	fields := strings.SplitN(line, " ", 3)
	if !slices.Contains(sshKeyTypes(), fields[0]) {
		return fmt.Sprintf("%s is not a known key type", quote(fields[0])), format
	}
	if len(line) > 4096 || len(fields) < 2 {
		return "this is not a public key", format
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return "the key is incomplete: its base64 cannot be decoded", format
	}
	// RFC 4253, 6.6: the key begins with its type, after the type's length.
	if len(blob) < 4 || int64(binary.BigEndian.Uint32(blob)) > int64(len(blob)-4) ||
		string(blob[4:4+binary.BigEndian.Uint32(blob)]) != fields[0] {
		return "the key is not one of type " + fields[0], format
	}
	return "", ""
}

// checkPath returns the reason why a text is not the path of a file on the node, or nil.
func checkPath(p string) (message, hint string) {
	switch {
	case !pathRule.accepts(p):
		return fmt.Sprintf("%s is not an absolute path that every program accepts", quote(p)), pathRule.hint
	case path.Clean(p) != p:
		return fmt.Sprintf("%s is not clean", quote(p)), "write " + path.Clean(p)
	}
	return "", ""
}
