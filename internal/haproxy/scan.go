package haproxy

import (
	"net/netip"
	"slices"
	"strings"
)

// section tells whether a word begins a section of haproxy.cfg.
func section(word string) bool {
	switch word {
	case "global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "cache",
		"program", "http-errors", "ring", "log-forward", "fcgi-app", "crt-store", "traces":
		return true
	}
	return false
}

// LogTargets are the targets of the log lines of the global section.
func LogTargets(conf string) []string {
	var targets []string
	global := false
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if section(f[0]) {
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
}

// Binds are the TCP addresses of the bind lines of a haproxy.cfg that can be read without haproxy: no variables, no ranges
// of ports, no names.
func Binds(conf string) []Bind {
	var all []Bind
	bindLines(conf, func(proxy string, f []string) {
		// An address in a network namespace, or one that is only bound freely, is not this process's to try.
		if slices.Contains(f, "namespace") || slices.Contains(f, "transparent") {
			return
		}
		for _, s := range strings.Split(f[1], ",") {
			if at, ok := bindAddress(s); ok {
				all = append(all, Bind{proxy, at})
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
		if section(f[0]) {
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
		if section(f[0]) {
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
		if section(f[0]) {
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

// bindAddress reads an address as haproxy writes it: 10.0.0.1:80, *:80, :80, [::]:80, :::80, ipv4@…, ipv6@….
func bindAddress(s string) (netip.AddrPort, bool) {
	if rest, ok := strings.CutPrefix(s, "ipv4@"); ok {
		s = rest
	} else if rest, ok := strings.CutPrefix(s, "ipv6@"); ok {
		s = rest
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, false
	}
	host, port := strings.Trim(s[:i], "[]"), s[i+1:]
	if host == "" || host == "*" {
		host = "0.0.0.0"
	}
	at, err := netip.ParseAddrPort("[" + host + "]:" + port)
	if err != nil {
		at, err = netip.ParseAddrPort(host + ":" + port)
	}
	return at, err == nil && at.Port() != 0 && at.Addr().Zone() == ""
}
