package haproxy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// Listener is an address and a range of TCP ports that a configuration listens on.
type Listener struct {
	Proxy     string // frontend NAME, listen NAME, peers NAME, log-forward NAME, or stats socket
	Line      int    // in the file, counted from 1
	Addr      netip.Addr
	Low, High uint16 // the ports, both included
	Interface string // empty: any interface
}

// Listeners returns the addresses on which a haproxy.cfg listens. complete is false if there are more: an address may contain a
// name, a variable or a file descriptor, which only haproxy can resolve. Local is haproxy's own name among its peers.
func Listeners(conf, local string) (all []Listener, complete bool) {
	complete = true
	section, proxy, n := "", "", 0
	for line := range strings.Lines(conf) {
		n++
		f := syntax.Words(line)
		if len(f) == 0 {
			continue
		}
		if syntax.IsSection(f[0]) {
			section, proxy = f[0], strings.Join(f[:min(len(f), 2)], " ")
			continue
		}
		owner, addresses := proxy, ""
		switch {
		case len(f) < 2:
		case f[0] == "bind" && slices.Contains([]string{"frontend", "listen", "peers", "log-forward"}, section):
			addresses = f[1]
		case section == "global" && f[0] == "stats" && f[1] == "socket" && len(f) > 2:
			owner, addresses = "stats socket", f[2]
		case section == "peers" && (f[0] == "peer" || f[0] == "server") && f[1] == local && len(f) > 2:
			addresses = f[2]
		}
		if addresses == "" || slices.Contains(f, "namespace") {
			continue
		}
		for _, s := range strings.Split(addresses, ",") {
			l, ok, known := listenAddress(s)
			if ok {
				l.Proxy, l.Line, l.Interface = owner, n, after(f, "interface")
				all = append(all, l)
			}
			complete = complete && known
		}
	}
	return all, complete
}

// after returns the word that follows a keyword.
func after(words []string, keyword string) string {
	if i := slices.Index(words, keyword); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// listenAddress parses one address of a bind line. ok: it is a TCP address; known: it could be parsed, or is not a TCP address.
func listenAddress(s string) (l Listener, ok, known bool) {
	v6 := false
	if kind, rest, has := strings.Cut(s, "@"); has {
		switch kind {
		case "ipv4", "tcp", "tcp4", "ipv6", "tcp6", "mptcp", "mptcp4", "mptcp6":
			s, v6 = rest, strings.HasSuffix(kind, "6")
		case "unix", "abns", "abnsz", "udp", "udp4", "udp6", "quic", "quic4", "quic6", "rhttp", "rev":
			return l, false, true
		default:
			return l, false, false
		}
	}
	if strings.HasPrefix(s, "/") {
		return l, false, true
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return l, false, false
	}
	host, ports := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]"), s[i+1:]
	switch {
	case (host == "" || host == "*") && v6:
		l.Addr = netip.IPv6Unspecified()
	case host == "" || host == "*":
		l.Addr = netip.IPv4Unspecified()
	default:
		a, err := netip.ParseAddr(host)
		if err != nil {
			return l, false, false
		}
		l.Addr = a.WithZone("").Unmap()
	}
	low, high, isRange := strings.Cut(ports, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || from == 0 || to < from {
		return l, false, false
	}
	l.Low, l.High = uint16(from), uint16(to)
	return l, true, true
}
