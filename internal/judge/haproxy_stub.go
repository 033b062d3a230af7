package judge

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// fileKeywords are followed by a path in lines of any kind.
var fileKeywords = map[string]kind{
	"crt": pemFile, "crt-list": crtList, "ca-file": caFile, "ca-verify-file": caFile, "ca-sign-file": pemFile, "crl-file": crlFile,
	"tls-ticket-keys": ticketKeys, "lf-file": textFile, "-f": patternFile,
}

// firstKeywords begin a line that names a path as its second word.
var firstKeywords = map[string]kind{
	"lua-load": luaFile, "lua-load-per-thread": luaFile, "h1-case-adjust-file": textFile,
}

// leftOut are lines that consist of a path, and on which other lines do not depend.
var leftOut = map[string]bool{"ssl-dh-param-file": true, "issuers-chain-path": true, "server-state-file": true, "parse-resolv-conf": true, "server-state-base": true}

var (
	// inCall matches the file of a converter or an action that is written as a call: map(/path,default), add-acl(/path).
	inCall = regexp.MustCompile(`\b(?:map(?:_[a-z0-9]+)*|(?:add|del|set)-(?:map|acl))\(\s*([^,)\s"'$]+)`)
	keyOf  = regexp.MustCompile(`\bjwt_verify\([^,)]*,\s*"?(/[^,)\s"'$]+)`)
	luaUse = regexp.MustCompile(`\blua\.([A-Za-z0-9_.-]+)`)
	// variable matches an environment variable, but not $$ and %[...].
	variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)
	numbers  = regexp.MustCompile(`^[0-9.]*$`)
)

// stubHAProxy returns a copy of a haproxy.cfg with the same number of lines, in which stubs replace what exists only on a node:
// files, users and groups, network namespaces, and host names. unsure has the lines, from 1, with an environment variable,
// which may have another value on a node.
func stubHAProxy(config string, st *stubs) (copied string, unsure map[int]bool) {
	h := haproxyStubber{stubs: st, unsure: map[int]bool{}}
	lines := strings.Split(config, "\n")
	for i, line := range lines {
		lines[i] = h.line(i+1, line)
	}
	return strings.Join(lines, "\n"), h.unsure
}

type haproxyStubber struct {
	*stubs
	section string
	set     map[string]bool // variables that the file sets
	unsure  map[int]bool
}

func (h *haproxyStubber) line(n int, line string) string {
	ws := cutHAProxy(line)
	if len(ws) == 0 {
		return line
	}
	if isSection(ws[0].text) {
		h.section = ws[0].text
		return line
	}
	h.variables(n, line, ws)
	if leftOut[ws[0].text] || h.spoe(ws) {
		return ""
	}
	var e edits
	h.accounts(ws, &e)
	h.paths(line, ws, &e)
	h.addresses(ws, &e)
	return e.apply(line)
}

func isSection(word string) bool {
	switch word {
	case "global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "cache", "program",
		"http-errors", "ring", "log-forward", "fcgi-app", "crt-store", "traces", "acme", "log-profile":
		return true
	}
	return false
}

// variables records a line with a variable that the file does not set.
func (h *haproxyStubber) variables(n int, line string, ws []word) {
	if (ws[0].text == "setenv" || ws[0].text == "presetenv") && len(ws) > 1 {
		if h.set == nil {
			h.set = map[string]bool{}
		}
		h.set[ws[1].text] = true
	}
	for _, m := range variable.FindAllStringSubmatch(line, -1) {
		if !h.set[m[1]] && !strings.HasPrefix(m[1], "HAPROXY_") {
			h.unsure[n] = true
		}
	}
}

// spoe reports whether a line depends on the file of a SPOE engine, whose sections no stub can have.
func (h *haproxyStubber) spoe(ws []word) bool {
	if ws[0].text == "filter" && len(ws) > 1 && ws[1].text == "spoe" {
		i := slices.IndexFunc(ws, func(w word) bool { return w.text == "config" })
		return i > 0 && i+1 < len(ws) && !h.has(ws[i+1].text)
	}
	return slices.ContainsFunc(ws, func(w word) bool { return w.text == "send-spoe-group" })
}

// accounts replaces users and groups by numbers, which need not exist.
func (h *haproxyStubber) accounts(ws []word, e *edits) {
	first := ws[0].text
	inGlobal := h.section == "global" && (first == "user" || first == "group" || first == "stats" || first == "unix-bind")
	if !inGlobal && first != "bind" {
		return
	}
	for i := range len(ws) - 1 {
		name := ws[i+1].text
		switch {
		case i > 0 && ws[i-1].text == "level":
			continue
		case ws[i].text == "user" && !h.has("user "+name) && !h.absent("user "+name):
			e.replace(ws[i], "uid")
		case ws[i].text == "group" && !h.has("group "+name) && !h.absent("group "+name):
			e.replace(ws[i], "gid")
		default:
			continue
		}
		e.replace(ws[i+1], "65534")
	}
}

func (h *haproxyStubber) paths(line string, ws []word, e *edits) {
	first := ws[0].text
	for i := range len(ws) - 1 {
		next := ws[i+1]
		path := strings.TrimPrefix(next.text, "file@")
		k, ok := fileKeywords[ws[i].text]
		switch {
		case strings.ContainsAny(path, "$@") || path == "":
			continue
		case ok && i > 0:
		case i == 0 && firstKeywords[first] != "":
			k = firstKeywords[first]
		case strings.HasPrefix(first, "http-") && i > 0 && ws[i].text == "file":
			k = textFile
		case strings.HasPrefix(first, "http-") && i > 0 && ws[i].text == "errorfile", i == 1 && first == "errorfile":
			k = errorFile
		case first == "load" && h.section == "crt-store" && ws[i].text == "key":
			k = pemFile
		case first == "load" && h.section == "crt-store" && (ws[i].text == "ocsp" || ws[i].text == "issuer" || ws[i].text == "sctl"),
			ws[i].text == "namespace" && (first == "bind" || first == "server" || first == "default-server"):
			*e = append(*e, edit{ws[i].start, next.end, ""})
			continue
		default:
			continue
		}
		e.replace(next, h.file(path, k))
	}
	for _, m := range inCall.FindAllStringSubmatchIndex(line, -1) {
		if path := strings.TrimPrefix(line[m[2]:m[3]], "file@"); !strings.Contains(path, "@") {
			*e = append(*e, edit{m[2], m[3], h.file(path, patternFile)})
		}
	}
	for _, m := range keyOf.FindAllStringSubmatchIndex(line, -1) {
		*e = append(*e, edit{m[2], m[3], h.file(line[m[2]:m[3]], caFile)})
	}
}

// addresses replaces host names.
func (h *haproxyStubber) addresses(ws []word, e *edits) {
	at := func(i int) {
		if i < len(ws) {
			if a, ok := numericAddress(ws[i].text); ok {
				e.replace(ws[i], a)
			}
		}
	}
	switch first := ws[0].text; first {
	case "bind", "dgram-bind", "dispatch", "source":
		at(1)
	case "log":
		if len(ws) > 1 && !slices.Contains([]string{"global", "stdout", "stderr"}, ws[1].text) {
			at(1)
		}
	case "server", "peer", "nameserver", "mailer":
		at(2)
	case "server-template":
		at(3)
	}
	for i, w := range ws {
		if i > 0 && (w.text == "addr" || w.text == "source") && slices.Contains([]string{"server", "default-server", "server-template", "tcp-check", "http-check"}, ws[0].text) {
			at(i + 1)
		}
	}
}

// numericAddress returns an address with a number instead of its host name; false if it has none.
func numericAddress(s string) (string, bool) {
	prefix, host := "", s
	if kind, rest, ok := strings.Cut(s, "@"); ok {
		prefix, host = kind+"@", rest
		if slices.Contains([]string{"unix", "abns", "abnsz", "fd", "sockpair", "ring", "backend", "buf", "rhttp", "rev"}, kind) {
			return "", false
		}
	}
	port := ""
	if i := strings.IndexByte(host, ':'); i >= 0 {
		host, port = host[:i], host[i:]
	}
	if _, err := netip.ParseAddr(host); err == nil || numbers.MatchString(host) || !hostName.MatchString(host) {
		return "", false
	}
	number := "127.0.0.1"
	if strings.HasSuffix(prefix, "6@") {
		number = "::1"
	}
	if strings.HasPrefix(host, "_") { // a SRV record has the port
		port = ":80"
	}
	return prefix + number + port, true
}

// luaStub registers every name that the configuration uses from Lua, in all roles that a name can have.
func luaStub(config string) string {
	var b strings.Builder
	b.WriteString("local function f() end\n")
	seen := map[string]bool{}
	for line := range strings.Lines(config) {
		ws := cutHAProxy(strings.TrimRight(line, "\n"))
		for i, w := range ws {
			for _, m := range luaUse.FindAllStringSubmatch(w.text, -1) {
				if key := m[1]; !seen[key] {
					seen[key] = true
					luaName(&b, key, ws, i)
				}
			}
		}
	}
	return b.String()
}

func luaName(b *strings.Builder, name string, ws []word, i int) {
	arguments := 0
	for _, w := range ws[i+1:] {
		if w.text == "if" || w.text == "unless" || arguments == 64 { // the maximum in a line of haproxy.cfg
			break
		}
		arguments++
	}
	mode := "http"
	if strings.HasPrefix(ws[0].text, "tcp-") {
		mode = "tcp"
	}
	fmt.Fprintf(b, "if not pcall(core.register_action, %q, {'tcp-req','tcp-res','http-req','http-res','http-after-res'}, f, %d) then\n", name, arguments)
	fmt.Fprintf(b, "  pcall(core.register_action, %q, {'tcp-req','tcp-res','http-req','http-res'}, f, %d)\nend\n", name, arguments)
	fmt.Fprintf(b, "pcall(core.register_service, %q, %q, f)\n", name, mode)
	fmt.Fprintf(b, "pcall(core.register_converters, %q, f)\npcall(core.register_fetches, %q, f)\n", name, name)
}
