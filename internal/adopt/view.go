package adopt

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// view is what haproxy makes of a haproxy.cfg: frontends and backends with everything that they inherit, and defaults filled
// in. A listen section is one of each.
type view struct {
	halves map[string]half // "frontend NAME" or "backend NAME"
	global map[string][]string
	other  map[string][]string
}

// half is a frontend or a backend: what it sets, and the rules and servers that it lists.
type half struct {
	single map[string]string
	lists  map[string][]string
}

// newView reads the sections of a file.
func newView(sections []*section) view {
	v := view{halves: map[string]half{}, global: map[string][]string{}, other: map[string][]string{}}
	for _, s := range sections {
		switch s.kind {
		case "global":
			for i := range s.lines {
				if l := &s.lines[i]; !ignoredGlobal(l) {
					v.global[l.words[0]] = append(v.global[l.words[0]], strings.Join(l.words, " "))
				}
			}
		case "frontend":
			v.halves["frontend "+s.name] = newHalf(s, clients)
		case "backend":
			v.halves["backend "+s.name] = newHalf(s, servers)
		case "listen":
			v.halves["frontend "+s.name] = newHalf(s, clients)
			v.halves["backend "+s.name] = newHalf(s, servers)
		case "defaults", "":
		default:
			name := strings.Join(s.head.words, " ")
			for i := range s.lines {
				if l := &s.lines[i]; s.kind != "userlist" || !slices.Contains(l.words, "insecure-password") {
					v.other[name] = append(v.other[name], strings.Join(l.words, " "))
				}
			}
		}
	}
	return v
}

// ignoredGlobal reports whether a line of the global section is hapair's own affair.
func ignoredGlobal(l *line) bool {
	_, own := ownGlobals[l.words[0]]
	return own || l.is("stats", "socket") && ownSocket(l) || l.words[0] == "log" || l.is("hard-stop-after")
}

// newHalf reads a frontend or a backend.
func newHalf(s *section, which side) half {
	h := half{single: map[string]string{}, lists: map[string][]string{}}
	all := append(s.inherited(), s.lines...)
	inherited := len(all) - len(s.lines)
	ownRules := slices.ContainsFunc(s.lines, isCheckRule)
	ownOption := slices.ContainsFunc(s.lines, func(l line) bool { return key(&l) == "option check" })
	var checks []line
	server := server{}
	var defaultWords []string
	for i := range all {
		l := &all[i]
		if where := sideOf(l); where != both && where != which {
			continue
		}
		// A listen section is one proxy, whose clients' side has the option.
		if which == servers && (l.is("stats") || l.is("option", "forwardfor") && (i < inherited || s.kind == "listen")) {
			continue
		}
		k := key(l)
		switch {
		case k == "option check" || isCheckRule(*l):
			if i >= inherited || !ownOption && (k == "option check" || !ownRules) {
				checks = append(checks, *l)
			}
		case l.words[0] == "default-server":
			server, defaultWords = addDefault(server, defaultWords, l)
		case l.words[0] == "server":
			h.lists["server"] = append(h.lists["server"], serverView(l, server, defaultWords, onlyPort(s)))
		case l.words[0] == "log":
			h.single["log global"] = "log global"
			if !l.is("log", "global") {
				delete(h.single, "log global")
				h.lists["log"] = append(h.lists["log"], strings.Join(l.words, " "))
			}
		case k != "":
			if v := canonical(l); v == "" {
				delete(h.single, k)
			} else {
				h.single[k] = v
			}
		default:
			h.lists[l.words[0]] = append(h.lists[l.words[0]], strings.Join(l.words, " "))
		}
	}
	h.usual(which, checks)
	if own := len(h.lists["server"]) > 0 || slices.ContainsFunc(s.lines, func(l line) bool { return strings.HasPrefix(l.words[0], "server") }); s.kind == "listen" && own &&
		which == clients && h.single["default_backend"] == "" {
		h.single["default_backend"] = "default_backend " + s.name
	}
	return h
}

// onlyPort is the port of a listen section that binds one, for servers without a port.
func onlyPort(s *section) int {
	port := 0
	for _, b := range bindsOf(s) {
		if s.kind != "listen" || !b.tcp || b.low != b.high || port != 0 && port != b.low {
			return 0
		}
		port = b.low
	}
	return port
}

// usual fills in what haproxy has without a line, and how servers are checked.
func (h *half) usual(which side, checks []line) {
	if h.single["mode"] == "" {
		h.single["mode"] = "mode tcp"
	}
	if which == servers {
		if h.single["balance"] == "" {
			h.single["balance"] = "balance roundrobin"
		}
		if h.single["retries"] == "" {
			h.single["retries"] = "retries 3"
		}
		h.single["option check"] = checkView(checks)
		if len(h.lists["server"]) == 0 {
			delete(h.single, "balance")
		}
	}
	if h.single["mode"] == "mode tcp" {
		delete(h.single, "timeout http-request")
		delete(h.single, "timeout http-keep-alive")
	}
	// Kept by haproxy for both halves, and of use in one.
	if which == clients {
		for _, k := range []string{"retries", "balance"} {
			delete(h.single, k)
		}
	}
}

// canonical writes a setting in one way; "" is what haproxy has without it.
func canonical(l *line) string {
	w := l.words
	switch {
	case w[0] == "no" || w[0] == "default":
		return ""
	case w[0] == "timeout" && len(w) == 3:
		d, ok := haproxyTime(w[2])
		if ok && d == 0 {
			return ""
		}
		if ok {
			return fmt.Sprintf("timeout %s %dms", w[1], d.Milliseconds())
		}
	case w[0] == "stick-table":
		return stickView(w)
	}
	return strings.Join(w, " ")
}

// stickView writes a table without the peers that share it, and with its times in milliseconds.
func stickView(words []string) string {
	var out []string
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "peers":
			i++
		case "type":
			i++
			out = append(out, "type", strings.TrimSuffix(words[min(i, len(words)-1)], "v6"))
		case "expire":
			i++
			if d, ok := haproxyTime(words[min(i, len(words)-1)]); ok {
				out = append(out, "expire", fmt.Sprintf("%dms", d.Milliseconds()))
			}
		default:
			out = append(out, words[i])
		}
	}
	return "stick-table " + strings.Join(out, " ")
}

// checkView writes how servers are checked.
func checkView(lines []line) string {
	i := -1
	for j := range lines {
		if key(&lines[j]) == "option check" {
			if i = j; lines[j].words[0] != "option" {
				i = -1
			}
		}
	}
	if i < 0 {
		return "a connection"
	}
	option := lines[i]
	if option.word(1) != "httpchk" {
		var out []string
		words := slices.DeleteFunc(slices.Clone(option.words), func(s string) bool { return s == "post-41" })
		for _, l := range lines {
			if l.words[0] == "tcp-check" {
				out = append(out, strings.Join(l.words, " "))
			}
		}
		return strings.Join(append([]string{strings.Join(words, " ")}, out...), "; ")
	}
	r := readRequest(option, lines)
	out := []string{fmt.Sprintf("httpchk %s %s %s host %s %v", r.method, r.uri, r.version, r.host, r.headers)}
	expects := 0
	for _, l := range lines {
		if l.words[0] == "http-check" && !l.is("http-check", "send") {
			if l.is("http-check", "expect") {
				expects++
			}
			out = append(out, strings.Join(l.words, " "))
		}
	}
	if expects == 0 {
		out = append(out, "http-check expect status 200-399")
	}
	return strings.Join(out, "; ")
}

// addDefault adds the words of a default-server line.
func addDefault(d server, words []string, l *line) (server, []string) {
	head := newLine(l.file, l.number, "server x 127.0.0.1 "+l.from(1))
	s, _ := readServer(&head)
	d.inter, d.rise, d.fall, d.checkPort = or(s.inter, d.inter), or(s.rise, d.rise), or(s.fall, d.fall), or(s.checkPort, d.checkPort)
	d.check = d.check || s.check
	if rest := s.wordsBut(); rest != "" {
		words = append(slices.Clone(words), rest)
	}
	return d, words
}

// serverView writes a server with everything that default-server says.
func serverView(l *line, d server, words []string, port int) string {
	s, ok := readServer(l)
	if s.port == 0 && !socketName.MatchString(s.address) {
		s.port = port
	}
	if !ok {
		return strings.Join(l.words, " ") + " with " + strings.Join(optionSet(words), " ") + fmt.Sprintf(" %s %s %s", milliseconds(or(d.inter, "2s")), or(d.rise, "2"), or(d.fall, "3"))
	}
	checked := (s.check || d.check) && !slices.Contains(strings.Fields(s.lines), "no-check")
	at := s.address
	if a, err := netip.ParseAddr(at); err == nil && s.port != 0 {
		at = netip.AddrPortFrom(a, uint16(s.port)).String()
	} else if s.port != 0 {
		at += ":" + strconv.Itoa(s.port)
	}
	out := []string{s.name, at, fmt.Sprintf("check=%t", checked)}
	if checked {
		out = append(out, "inter="+milliseconds(or(or(s.inter, d.inter), "2s")), "rise="+or(or(s.rise, d.rise), "2"), "fall="+or(or(s.fall, d.fall), "3"),
			"port="+or(s.checkPort, d.checkPort))
	}
	s.checkPort, s.inter, s.rise, s.fall, s.check = "", "", "", "", false
	rest := optionSet(append(words, s.wordsBut()))
	return strings.Join(append(out, rest...), " ")
}

func milliseconds(s string) string {
	if d, ok := haproxyTime(s); ok {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return s
}

// optionSet sorts the words of server lines, option by option; the last value of an option counts. What hapair adds to every
// server is left out: faster checks while a state changes, and names that need not resolve at the start.
func optionSet(texts []string) []string {
	set := map[string]string{}
	for _, t := range texts {
		l := newLine("", 0, t)
		for i := 0; i < len(l.words); i++ {
			w := l.words[i]
			switch w {
			case "fastinter", "no-check":
				if w == "fastinter" {
					i++
				}
				continue
			case "resolvers", "init-addr":
				if v := l.word(i + 1); v == "hapair" || v == "last,libc,none" {
					i++
					continue
				}
			}
			if twoWords[w] || w == "cookie" || w == "weight" || w == "maxconn" || w == "verify" || w == "ca-file" || w == "crt" || w == "alpn" || w == "port" {
				set[w] = l.word(i + 1)
				i++
				continue
			}
			set[w] = ""
		}
	}
	var out []string
	for k, v := range set {
		out = append(out, strings.TrimSpace(k+" "+v))
	}
	sort.Strings(out)
	return out
}
