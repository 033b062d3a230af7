package haproxy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// LogTargets returns the targets of the log lines in the global section.
func LogTargets(conf string) []string {
	var targets []string
	global := false
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if syntax.IsSection(f[0]) {
			global = f[0] == "global"
		}
		if global && f[0] == "log" && len(f) > 1 {
			targets = append(targets, f[1])
		}
	}
	return targets
}

// Bind is an address of a bind line.
type Bind struct {
	Proxy string // frontend NAME or listen NAME
	netip.AddrPort
	Interface string // the interface of the socket; empty: any
	V6        V6Scope
}

// V6Scope is whether a socket that is bound to all IPv6 addresses accepts IPv4 connections.
type V6Scope int

const (
	V6Default V6Scope = iota // as in net.ipv6.bindv6only. The kernel's default is 0: IPv4 too
	V6Only                   // the option v6only, which overrides v4v6
	V4V6                     // the option v4v6: IPv4 too
)

// Binds returns the TCP addresses of the bind lines of a haproxy.cfg. It leaves out addresses that only haproxy can resolve:
// variables, ranges of ports and names.
func Binds(conf string) []Bind {
	var all []Bind
	bindLines(conf, func(proxy string, f []string) {
		// Addresses in another network namespace, and transparent ones, cannot be tried by this process.
		if slices.Contains(f, "namespace") || slices.Contains(f, "transparent") {
			return
		}
		b := Bind{Proxy: proxy}
		switch {
		case slices.Contains(f, "v6only"):
			b.V6 = V6Only
		case slices.Contains(f, "v4v6"):
			b.V6 = V4V6
		}
		if i := slices.Index(f, "interface"); i > 1 && i+1 < len(f) {
			b.Interface = f[i+1]
		}
		for _, s := range strings.Split(f[1], ",") {
			if at, ok := bindAddress(s); ok {
				b.AddrPort = at
				all = append(all, b)
			}
		}
	})
	return all
}

// TLSBinds returns the TCP addresses of bind lines with TLS, as far as they can be read without haproxy. Listeners that expect
// the PROXY protocol are left out: they close connections without it.
func TLSBinds(conf string) []netip.AddrPort {
	var all []netip.AddrPort
	bindLines(conf, func(_ string, f []string) {
		if !slices.Contains(f, "ssl") || slices.Contains(f, "accept-proxy") || slices.Contains(f, "namespace") {
			return
		}
		for _, s := range strings.Split(f[1], ",") {
			if at, ok := bindAddress(s); ok {
				all = append(all, at)
			}
		}
	})
	return all
}

// UnixSockets returns the paths of the UNIX sockets of a haproxy.cfg. It leaves out paths that only haproxy can resolve.
func UnixSockets(conf string) []string {
	var all []string
	add := func(s string) {
		s = strings.TrimPrefix(s, "unix@")
		if strings.HasPrefix(s, "/") && !strings.ContainsAny(s, "$\"'\\") {
			all = append(all, s)
		}
	}
	global := false
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if syntax.IsSection(f[0]) {
			global = f[0] == "global"
		}
		if global && f[0] == "unix-bind" && slices.Contains(f, "prefix") {
			return nil // unix-bind changes the paths
		}
		if global && len(f) > 2 && f[0] == "stats" && f[1] == "socket" {
			add(f[2])
		}
	}
	bindLines(conf, func(_ string, f []string) {
		for _, s := range strings.Split(f[1], ",") {
			add(s)
		}
	})
	return all
}

// Chroot returns the directory of haproxy's chroot; empty: none.
func Chroot(conf string) string {
	global := false
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if syntax.IsSection(f[0]) {
			global = f[0] == "global"
		}
		if global && f[0] == "chroot" && len(f) > 1 && strings.HasPrefix(f[1], "/") {
			return f[1] // haproxy uses the first
		}
	}
	return ""
}

// bindLines calls each with the words of every bind line.
func bindLines(conf string, each func(proxy string, words []string)) {
	proxy := ""
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if syntax.IsSection(f[0]) {
			proxy = ""
			if f[0] == "frontend" || f[0] == "listen" {
				proxy = strings.Join(f[:min(len(f), 2)], " ")
			}
			continue
		}
		if proxy != "" && f[0] == "bind" && len(f) > 1 {
			each(proxy, f)
		}
	}
}

// bindAddress parses an address in haproxy's syntax: 10.0.0.1:80, *:80, :80, [::]:80, :::80, ipv4@…, ipv6@…. haproxy accepts no
// zone (fe80::1%eth0): a link-local address requires the option "interface".
func bindAddress(s string) (netip.AddrPort, bool) {
	all := "0.0.0.0"
	for prefix, unspecified := range map[string]string{"ipv4@": "0.0.0.0", "tcp4@": "0.0.0.0", "ipv6@": "::", "tcp6@": "::", "tcp@": "0.0.0.0"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			s, all = rest, unspecified
			break
		}
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, false
	}
	host, port := s[:i], s[i+1:]
	if bare, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(bare, "]")
		if !ok {
			return netip.AddrPort{}, false
		}
	}
	if host == "" || host == "*" {
		host = all
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(addr, uint16(number)), err == nil && number != 0
}
