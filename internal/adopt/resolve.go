package adopt

import (
	"fmt"
	"slices"
	"strings"
)

// resolvedHere reports whether an inherited line is resolved in each proxy, because fields of services and backends stand
// for it.
func resolvedHere(l *line) bool {
	switch key(l) {
	case "mode", "balance", "cookie", "option check", "log-format", "log-format-sd", "error-log-format", "default_backend", "stick-table", "option forwardfor":
		return true
	}
	switch l.words[0] {
	case "http-check", "tcp-check", "stick", "timeout", "default-server", "bind":
		return true
	case "stats":
		return true
	case "log":
		return l.is("log", "global")
	case "option":
		return l.is("option", "httplog") && len(l.words) == 2 || l.is("option", "tcplog")
	}
	return false
}

// kept are the lines that all proxies inherit and that go to haproxy.defaults as they are.
func (im *importer) kept() []line {
	var out []line
	for _, l := range im.proxies[0].inherited() {
		if !resolvedHere(&l) && !slices.ContainsFunc(im.proxies[1:], func(p *section) bool { return !inherits(p, l) }) {
			out = append(out, l)
		}
	}
	return out
}

// inherits reports whether a proxy inherits a line.
func inherits(p *section, l line) bool {
	return slices.ContainsFunc(p.inherited(), func(o line) bool { return slices.Equal(o.words, l.words) })
}

// redispatches reports whether all backends have option redispatch, as hapair's defaults do.
func (im *importer) redispatches() bool {
	for _, p := range im.proxies {
		if p.kind == "frontend" {
			continue
		}
		all := append(p.inherited(), p.lines...)
		last := -1
		for i := range all {
			if key(&all[i]) == "option redispatch" {
				last = i
			}
		}
		if last < 0 || !isPlainRedispatch(&all[last]) {
			return false
		}
	}
	return true
}

func isPlainRedispatch(l *line) bool { return l.is("option", "redispatch") && len(l.words) == 2 }

// resolve returns the lines that hold for a proxy beside the kept ones: its own, after those that it inherits. Timeouts and
// default-server are resolved elsewhere.
func (im *importer) resolve(p *section) []line {
	var inherited []line
	kept, redispatches := im.kept(), im.redispatches()
	for _, l := range p.inherited() {
		if slices.ContainsFunc(kept, func(k line) bool { return slices.Equal(k.words, l.words) }) || redispatches && isPlainRedispatch(&l) || l.words[0] == "timeout" && readable(&l) || l.words[0] == "default-server" {
			continue
		}
		if s := sideOf(&l); p.kind == "frontend" && s == servers || p.kind == "backend" && s == clients {
			continue
		}
		if p.kind == "backend" && (l.words[0] == "stats" || key(&l) == "option forwardfor") {
			continue // the frontends have it
		}
		inherited = append(inherited, l)
	}
	hasCheck := slices.ContainsFunc(p.lines, func(l line) bool {
		return key(&l) == "option check" || l.words[0] == "http-check" || l.words[0] == "tcp-check"
	})
	var out []line
	all := append(inherited, p.lines...)
	for i, l := range all {
		if i < len(inherited) && hasCheck && isCheckRule(l) {
			continue
		}
		k := key(&l)
		if k != "" && slices.ContainsFunc(all[i+1:], func(later line) bool { return key(&later) == k }) {
			if k != "log-format" && k != "stats enable" && i >= len(inherited) {
				im.note(Wrong, &l, "", fmt.Sprintf("%s %s: %q is overridden by a later line", p.kind, p.name, mask(l.tidy())), "")
			}
			continue
		}
		if l.words[0] == "timeout" && readable(&l) && !inBackend(p, &l) {
			im.timeoutInPlace(p, &l)
			continue
		}
		if i >= len(inherited) {
			if s := sideOf(&l); p.kind == "frontend" && s == servers && l.words[0] != "no" {
				im.note(Wrong, &l, "", fmt.Sprintf("%q has no effect in a frontend", l.tidy()), "")
				continue
			} else if p.kind == "backend" && s == clients && l.words[0] != "no" {
				im.note(Wrong, &l, "", fmt.Sprintf("%q has no effect in a backend", l.tidy()), "")
				continue
			}
		}
		out = append(out, l)
	}
	return out
}

// inBackend reports whether a line of a backend is one of the timeouts that both halves may have.
func inBackend(p *section, l *line) bool {
	return p.kind == "backend" && strings.HasPrefix(l.word(1), "http-")
}

func readable(l *line) bool {
	_, ok := haproxyTime(l.word(2))
	return ok && slices.ContainsFunc(timeoutKeys, func(k timeoutKey) bool { return k.word == l.word(1) }) && len(l.words) == 3
}
