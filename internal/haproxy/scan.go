package haproxy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// LogTargets are the targets of the log lines of the global section.
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
	Interface string // that the socket is bound to; empty: any
	V6        V6Scope
}

// V6Scope is which connections a socket bound to all IPv6 addresses takes.
type V6Scope int

const (
	V6Default V6Scope = iota // as net.ipv6.bindv6only says: 0, the kernel's default, means IPv4 connections, too
	V6Only                   // the option v6only, which overrides v4v6
	V4V6                     // the option v4v6: IPv4 connections, too
)

// Binds are the TCP addresses of the bind lines of a haproxy.cfg that can be read without haproxy: no variables, no ranges
// of ports, no names.
func Binds(conf string) []Bind {
	var all []Bind
	bindLines(conf, func(proxy string, f []string) {
		// An address in a network namespace, or one that is only bound freely, is not this process's to try.
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

// UnixSockets are the paths of the UNIX sockets that a haproxy.cfg makes, as far as they can be read without haproxy.
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
			return nil // the paths are others
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

// Chroot is the directory that haproxy locks itself up in; empty: none.
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
			return f[1] // haproxy keeps the first
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

// bindAddress reads an address as haproxy writes it: 10.0.0.1:80, *:80, :80, [::]:80, :::80, ipv4@…, ipv6@…. It
// takes no zone (fe80::1%eth0): a link-local address needs the option "interface".
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
