package adopt

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Difference is a difference between the old file and the one that the spec makes.
type Difference struct {
	Where string `json:"where"` // frontend web, backend app, global
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
	// Why is the reason if hapair means the difference; empty: the import has lost something.
	Why string `json:"why,omitempty"`
}

// Compare compares the old haproxy.cfg with the one that was rendered from the spec, as haproxy reads them.
func (r *Result) Compare(rendered string) []Difference {
	old, now := newView(r.old), newView(parse("haproxy.cfg", rendered))
	var out []Difference
	names := slices.Sorted(maps.Keys(old.halves))
	for _, name := range names {
		kind, plain, _ := strings.Cut(name, " ")
		a := old.halves[name]
		section := r.sectionOf(kind, plain)
		to, renamed := r.rename[section+" "+plain]
		if renamed && to == "" {
			continue // the stats page
		}
		if !renamed {
			to = plain
		}
		_, split := now.halves["frontend "+to+"-frontend"]
		if split && section == "listen" && kind == "backend" {
			a = a.ofServers()
		}
		b, ok := now.halves[kind+" "+to]
		if !ok && kind == "frontend" {
			b, ok = now.halves["frontend "+to+"-frontend"]
		}
		if !ok && len(a.lists["server"]) == 0 && kind == "backend" && section == "listen" {
			continue // a listen section without servers
		}
		if !ok {
			out = append(out, Difference{Where: name, Old: "the whole section"})
			continue
		}
		out = append(out, r.compareHalf(name, kind, a, b)...)
	}
	out = append(out, compareLists("global", old.global, now.global)...)
	out = append(out, compareLists("", old.other, now.other)...)
	return out
}

// ofServers returns the half of a listen section without the lines that both halves may have: the section is rendered as a
// frontend, which has them, and a backend.
func (h half) ofServers() half {
	out := half{single: map[string]string{}, lists: map[string][]string{}}
	for k, v := range h.single {
		if l := newLine("", 0, v); k == "mode" || k == "option check" || sideOf(&l) == servers {
			out.single[k] = v
		}
	}
	for k, list := range h.lists {
		for _, v := range list {
			if l := newLine("", 0, v); k == "server" || sideOf(&l) == servers {
				out.lists[k] = append(out.lists[k], v)
			}
		}
	}
	return out
}

func (r *Result) sectionOf(kind, name string) string {
	for _, s := range r.old {
		if s.kind == "listen" && s.name == name {
			return "listen"
		}
	}
	return kind
}

func compareLists(where string, old, now map[string][]string) []Difference {
	var out []Difference
	for _, k := range slices.Sorted(maps.Keys(old)) {
		for _, v := range old[k] {
			if !slices.Contains(now[k], v) {
				at := where
				if at == "" {
					at = k
				}
				out = append(out, Difference{Where: at, Old: mask(v)})
			}
		}
	}
	return out
}

// meant are settings that hapair has and the old file does not, with the reason.
var meant = map[string]string{
	"option httplog": "each service logs its requests", "option tcplog": "each service logs its connections",
	"option dontlognull": "connections without a request are not logged", "log global": "each service logs to the log of the spec",
	"option idle-close-on-response": "a reload answers requests on kept-alive connections before it closes them",
	"load-server-state-from-file":   "servers keep their states over a reload"}

func (r *Result) compareHalf(name, kind string, a, b half) []Difference {
	var out []Difference
	for _, k := range keysOf(a.single, b.single) {
		x, y := a.single[k], b.single[k]
		if x == y {
			continue
		}
		d := Difference{Where: name, Old: x, New: y}
		if x == "" || k == "option httplog" || k == "option tcplog" {
			d.Why = meant[k]
		}
		out = append(out, d)
	}
	for _, k := range keysOf(a.lists, b.lists) {
		x, y := a.lists[k], b.lists[k]
		if k == "bind" {
			x = r.bound(name, x)
			y = r.bound(name, y)
		}
		if k == "http-request" && slices.ContainsFunc(a.lists["stats"], func(s string) bool { return strings.HasPrefix(s, "stats auth ") }) {
			y = slices.DeleteFunc(slices.Clone(y), isAuthRule)
		}
		switch k {
		case "use_backend":
			x, y = alternatives(x), alternatives(y)
		case "http-request":
			var protoX, protoY []string
			x, protoX = forwardedProto(x, allTLS(a.lists["bind"]))
			y, protoY = forwardedProto(y, allTLS(a.lists["bind"]))
			out = append(out, compareList(name, k, protoX, protoY)...)
		}
		out = append(out, compareList(name, k, x, y)...)
	}
	return out
}

// keysOf returns the keys of both maps, sorted.
func keysOf[V any](a, b map[string]V) []string {
	keys := map[string]bool{}
	for _, m := range []map[string]V{a, b} {
		for k := range m {
			keys[k] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// allTLS reports whether all bind lines have TLS.
func allTLS(binds []string) bool {
	return !slices.ContainsFunc(binds, func(b string) bool { return !slices.Contains(strings.Fields(b), "ssl") })
}

// forwardedProto returns the rules that the field forwarded stands for apart from the others, written in one way: their place
// among the others does not matter.
func forwardedProto(rules []string, tls bool) (others, proto []string) {
	for _, r := range rules {
		if !httpsIfTLS.MatchString(r) && !httpElse.MatchString(r) && !httpOnly.MatchString(r) {
			others = append(others, r)
			continue
		}
		r = strings.Replace(r, " if !{ ssl_fc }", " unless { ssl_fc }", 1)
		if tls {
			r = strings.TrimSuffix(r, " if { ssl_fc }")
		}
		proto = append(proto, r)
	}
	return others, proto
}

// compareList compares rules, whose order counts, or servers, whose names are what counts.
func compareList(name, k string, x, y []string) []Difference {
	var out []Difference
	if auth := func(s string) bool { return strings.HasPrefix(s, "stats auth ") }; slices.ContainsFunc(x, auth) {
		// The rule of the userlist takes its place.
		x = slices.DeleteFunc(slices.Clone(x), auth)
		y = slices.DeleteFunc(slices.Clone(y), isAuthRule)
	}
	for _, v := range x {
		if !slices.Contains(y, v) {
			out = append(out, Difference{Where: name, Old: mask(v)})
		}
	}
	for _, v := range y {
		if !slices.Contains(x, v) {
			out = append(out, Difference{Where: name, New: mask(v)})
		}
	}
	if len(out) == 0 && k != "bind" && !slices.Equal(x, y) {
		out = append(out, Difference{Where: name, Old: k + " in another order, or twice", New: strings.Join(y, "; ")})
	}
	return out
}

// isAuthRule reports whether a rule takes the place of "stats auth".
func isAuthRule(s string) bool {
	return strings.Contains(s, "http_auth(stats-") && (strings.HasPrefix(s, "stats http-request auth") || strings.HasPrefix(s, "http-request auth"))
}

// bound writes binds as sorted single addresses; those of every address are the VIPs'.
func (r *Result) bound(name string, list []string) []string {
	seen := map[string]bool{}
	for _, s := range splitBinds(list) {
		at, options, _ := strings.Cut(s, " ")
		b := readBind(at)
		if !b.tcp {
			seen[s] = true
			continue
		}
		addresses := []string{b.addr.String()}
		if !b.addr.IsValid() {
			addresses = r.binds[name]
		}
		for _, a := range addresses {
			seen[fmt.Sprintf("bind %s:%d-%d %s", a, b.low, b.high, r.bindView(options))] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// splitBinds cuts bind lines with several addresses, and leaves out the word bind.
func splitBinds(list []string) []string {
	var out []string
	for _, s := range list {
		addresses, options, _ := strings.Cut(strings.TrimPrefix(s, "bind "), " ")
		for _, a := range strings.Split(addresses, ",") {
			out = append(out, a+" "+options)
		}
	}
	return out
}

// bindView sorts the words of a bind line. Those that hapair adds to IPv6 addresses are left out.
func (r *Result) bindView(options string) string {
	var out []string
	words := strings.Fields(options)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; w {
		case "v6only", "v4v6", "transparent":
		case "crt":
			i++
			path := words[min(i, len(words)-1)]
			if !strings.HasPrefix(path, "/") && r.crtBase != "" {
				path = strings.TrimSuffix(r.crtBase, "/") + "/" + path
			}
			out = append(out, "crt "+strings.TrimSuffix(path, "/"))
		case "verify", "ca-file", "alpn", "interface", "name", "ciphers", "ciphersuites", "curves", "maxconn", "mode", "user", "group", "ssl-min-ver", "ssl-max-ver":
			i++
			out = append(out, w+" "+words[min(i, len(words)-1)])
		default:
			out = append(out, w)
		}
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// alternatives cuts "use_backend X if a or b" into one line for each alternative, as routes are rendered.
func alternatives(list []string) []string {
	var out []string
	for _, s := range list {
		head, condition, ok := strings.Cut(s, " if ")
		if !ok {
			out = append(out, s)
			continue
		}
		for _, c := range cutOr(condition) {
			out = append(out, head+" if "+c)
		}
	}
	return out
}

func cutOr(condition string) []string {
	var out, current []string
	depth := 0
	for _, w := range strings.Fields(condition) {
		switch {
		case w == "{" || w == "!{":
			depth++
		case w == "}":
			depth--
		case depth == 0 && (w == "or" || w == "||"):
			out, current = append(out, strings.Join(current, " ")), nil
			continue
		}
		current = append(current, w)
	}
	return append(out, strings.Join(current, " "))
}
