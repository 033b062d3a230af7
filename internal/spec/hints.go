package spec

import (
	"fmt"
	"slices"
	"strings"
)

// UnknownKeyHint returns the right place for a keyword of haproxy that was written as a key of a service.
func (*Service) UnknownKeyHint(key string) string {
	return keywordHint(key, map[string]string{
		"acl": "lines.frontend; routes have their own conditions", "bind": "vip and port", "capture": "lines.frontend", "cookie": "sticky.cookie",
		"crt": "tls.certificate", "default_backend": "backend", "default-server": "lines.server", "errorfile": "error_files",
		"expect": "check.expect", "fall": "check.fall", "httpchk": "check.http", "inter": "check.interval", "monitor-uri": "health_page",
		"peers": "sticky.source, whose table the nodes share", "redirect": "redirect_http, or lines.frontend", "rise": "check.rise",
		"server": "servers", "ssl": "tls", "stick": "sticky", "stick-table": "sticky", "tcp-request": "lines.frontend",
		"timeout": "timeouts", "use_backend": "routes", "use-server": "lines.backend", "alpn": "tls.alpn", "send-proxy": "servers[].send_proxy",
		"accept-proxy": "accept_proxy", "http-check": "check", "tcp-check": "check.tcp", "compression": "compression",
	}, "lines.frontend, or lines.backend")
}

// UnknownKeyHint returns the right place for a keyword of haproxy that was written as a key of a backend.
func (*Backend) UnknownKeyHint(key string) string {
	return keywordHint(key, map[string]string{
		"cookie": "sticky.cookie", "httpchk": "check.http", "server": "servers", "stick": "sticky", "stick-table": "sticky",
		"timeout": "timeouts", "http-check": "check", "tcp-check": "check.tcp", "inter": "check.interval", "rise": "check.rise", "fall": "check.fall",
	}, "lines")
}

// UnknownKeyHint returns the right place for a word of a server line that was written as a key of a server.
func (*Server) UnknownKeyHint(key string) string {
	known := map[string]string{
		"ssl": "tls", "verify": "tls.verify", "ca-file": "tls.verify", "crt": "tls.certificate", "sni": "tls.sni", "alpn": "tls.alpn",
		"send-proxy": "send_proxy: v1", "send-proxy-v2": "send_proxy: v2", "inter": "the service's check.interval", "rise": "the service's check.rise",
		"fall": "the service's check.fall", "check": "the service's check", "resolvers": "nothing: DNS names are looked up without it",
	}
	if where, ok := known[key]; ok {
		return fmt.Sprintf("write haproxy's %q as %s", key, where)
	}
	if slices.Contains(serverWords, key) {
		return fmt.Sprintf("write haproxy's %q into lines", key)
	}
	return ""
}

// UnknownKeyHint returns the right place for a keyword of haproxy that was written as a key of haproxy.
func (*HAProxy) UnknownKeyHint(key string) string {
	switch {
	case key == "timeout":
		return `write haproxy's "timeout" as timeouts`
	case slices.Contains(proxyWords, key):
		return fmt.Sprintf("write haproxy's %q into defaults, or into a service's lines", key)
	case slices.Contains(globalWords, key) || strings.HasPrefix(key, "tune."):
		return fmt.Sprintf("write haproxy's %q into global", key)
	}
	return ""
}

// keywordHint returns the field for a keyword of haproxy's proxies, or the lines that it belongs to.
func keywordHint(key string, fields map[string]string, lines string) string {
	if where, ok := fields[key]; ok {
		return fmt.Sprintf("write haproxy's %q as %s", key, where)
	}
	if slices.Contains(proxyWords, key) {
		return fmt.Sprintf("write haproxy's %q into %s", key, lines)
	}
	return ""
}

// proxyWords are the keywords of haproxy's proxies (configuration.txt, 4.1), without those that are keys of a service.
var proxyWords = strings.Fields(`acl backlog bind capture clitcpka-cnt clitcpka-idle clitcpka-intvl cookie declare default-server
default_backend description disabled dispatch email-alert enabled errorfile errorfiles errorloc errorloc302 errorloc303 error-log-format
external-check filter force-persist fullconn hash-balance-factor hash-type http-after-response http-check http-error http-request
http-response http-reuse http-send-name-header id ignore-persist load-server-state-from-file log log-format log-format-sd log-tag
max-keep-alive-queue monitor monitor-net monitor-uri option persist rate-limit redirect retries retry-on server
server-state-file-name server-template source srvtcpka-cnt srvtcpka-idle srvtcpka-intvl stats stick stick-table tcp-check tcp-request
tcp-response timeout transparent unique-id-format unique-id-header use-fcgi-app use-server use_backend guid`)

// serverWords are words of a server line (configuration.txt, 5.2).
var serverWords = strings.Fields(`addr agent-addr agent-check agent-inter agent-port agent-send allow-0rtt check-alpn check-proto
check-send-proxy check-sni check-ssl check-via-socks4 ciphers ciphersuites crl-file disabled downinter enabled error-limit fastinter
force-tlsv12 force-tlsv13 id init-addr log-proto max-reuse maxqueue minconn namespace no-check observe on-error on-marked-down
on-marked-up pool-low-conn pool-max-conn pool-purge-delay proto redir resolve-net resolve-opts resolve-prefer slowstart socks4 source
ssl-max-ver ssl-min-ver tcp-ut tfo track verifyhost ws`)

// globalWords are keywords of the global section (configuration.txt, 3).
var globalWords = strings.Fields(`ca-base chroot cpu-map crt-base daemon group hard-stop-after log log-send-hostname lua-load maxconnrate
maxpipes maxsslconn nbthread nbproc node pidfile presetenv setenv spread-checks ssl-default-bind-ciphers ssl-default-bind-ciphersuites
ssl-default-bind-options ssl-default-server-ciphers ssl-default-server-options ssl-dh-param-file ssl-server-verify stats ulimit-n user`)
