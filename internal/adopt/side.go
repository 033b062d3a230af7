package adopt

import "strings"

// side is which half of a listen section a line belongs to.
type side int

const (
	both side = iota
	clients
	servers
)

// sides of the keywords that not every section of proxies takes (configuration.txt, 4.1). "option" and "timeout" count with
// their second word.
var sides = func() map[string]side {
	m := map[string]side{}
	for s, words := range map[side]string{
		clients: `bind use_backend default_backend monitor-uri monitor maxconn capture declare unique-id-format unique-id-header
			log-format log-format-sd error-log-format log-tag backlog rate-limit
			timeout/client timeout/http-request timeout/client-fin timeout/client-hs
			option/httplog option/tcplog option/dontlognull option/dontlog-normal option/logasap option/idle-close-on-response option/clitcpka option/clitcpka-cnt
			option/http-ignore-probes option/socket-stats option/tcp-smart-accept option/contstats option/log-separate-errors
			option/http-use-proxy-header option/accept-invalid-http-request option/accept-unsafe-violations-in-http-request
			clitcpka-cnt clitcpka-idle clitcpka-intvl option/disable-h2-upgrade option/h1-case-adjust-bogus-client option/httpslog`,
		servers: `server server-template default-server balance cookie retries retry-on fullconn hash-type hash-balance-factor
			hash-preserve-affinity stick use-server http-reuse source dispatch transparent external-check http-check tcp-check
			load-server-state-from-file server-state-file-name max-keep-alive-queue ignore-persist force-persist persist use-fcgi-app
			dynamic-cookie-key tcp-response srvtcpka-cnt srvtcpka-idle srvtcpka-intvl guid
			timeout/server timeout/connect timeout/queue timeout/tunnel timeout/check timeout/server-fin timeout/tarpit-server
			option/httpchk option/tcp-check option/mysql-check option/pgsql-check option/redis-check option/smtpchk option/ldap-check
			option/ssl-hello-chk option/external-check option/spop-check option/redispatch option/srvtcpka option/prefer-last-server
			option/abortonclose option/allbackups option/checkcache option/persist option/tcp-smart-connect option/transparent
			option/log-health-checks option/independent-streams option/accept-invalid-http-response
			option/accept-unsafe-violations-in-http-response option/h1-case-adjust-bogus-server option/http-pretend-keepalive
			option/http-restrict-req-hdr-names option/httpchk-state email-alert`,
	} {
		for _, w := range strings.Fields(words) {
			m[w] = s
		}
	}
	return m
}()

// sideOf returns the half of a listen section that a line belongs to.
func sideOf(l *line) side {
	w := l.words
	if w[0] == "no" || w[0] == "default" {
		w = w[1:]
	}
	if len(w) == 0 {
		return both
	}
	if w[0] == "tcp-request" && len(w) > 1 && (w[1] == "connection" || w[1] == "session") {
		return clients
	}
	if (w[0] == "option" || w[0] == "timeout") && len(w) > 1 {
		return sides[w[0]+"/"+w[1]]
	}
	return sides[w[0]]
}

// key identifies what a line sets, if a later line with the same key replaces it: "timeout client", "errorfile 503". It is
// "" for lines that add up, such as rules.
func key(l *line) string {
	w := l.words
	if w[0] == "no" || w[0] == "default" {
		w = w[1:]
	}
	if len(w) == 0 {
		return ""
	}
	switch w[0] {
	case "option", "timeout", "errorfile", "errorloc", "errorloc302", "errorloc303":
		if len(w) > 1 {
			if isCheckOption(w[1]) {
				return "option check"
			}
			return w[0] + " " + w[1]
		}
	case "stats":
		if len(w) > 1 && w[1] != "auth" && w[1] != "http-request" && w[1] != "admin" {
			return "stats " + w[1]
		}
	case "mode", "balance", "maxconn", "retries", "log-format", "log-format-sd", "error-log-format", "log-tag", "cookie", "default_backend", "monitor-uri",
		"fullconn", "backlog", "hash-type", "stick-table", "unique-id-format", "unique-id-header", "http-reuse", "source", "id", "description",
		"load-server-state-from-file", "hash-balance-factor", "retry-on", "max-keep-alive-queue", "dispatch", "use-fcgi-app", "disabled", "enabled",
		"rate-limit", "server-state-file-name":
		return w[0]
	}
	return ""
}

// isCheckOption reports whether an option of haproxy says how servers are checked. The last one counts.
func isCheckOption(name string) bool {
	switch name {
	case "httpchk", "tcp-check", "mysql-check", "pgsql-check", "redis-check", "smtpchk", "ldap-check", "ssl-hello-chk", "external-check", "spop-check":
		return true
	}
	return false
}

// isCheckRule reports whether a line is a rule of a check: those of a section replace inherited ones.
func isCheckRule(l line) bool { return l.words[0] == "http-check" || l.words[0] == "tcp-check" }
