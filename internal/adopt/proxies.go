package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
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

// timeoutKey is a timeout of haproxy with its key in the spec.
type timeoutKey struct {
	word, key string
	side      side
	usual     string // what hapair sets; empty: nothing
}

var timeoutKeys = []timeoutKey{
	{"connect", "connect", servers, "5s"}, {"client", "client", clients, "1m"}, {"server", "server", servers, "1m"},
	{"tunnel", "tunnel", servers, "1h"}, {"queue", "queue", servers, "1m"}, {"check", "check", servers, "5s"},
	{"http-request", "http_request", clients, "10s"}, {"http-keep-alive", "http_keep_alive", clients, "10s"},
	{"client-fin", "client_fin", clients, ""}, {"server-fin", "server_fin", servers, ""},
}

// timeoutInPlace reports a timeout in a section where haproxy ignores it.
func (im *importer) timeoutInPlace(p *section, l *line) {
	if s := sideOf(l); p.kind == "frontend" && s == servers && l.word(1) != "tunnel" || p.kind == "backend" && s == clients {
		im.note(Wrong, l, "", fmt.Sprintf("%q has no effect in a %s", l.tidy(), p.kind), "")
	}
}

// timeoutsOf returns the timeouts that hold for a proxy, by haproxy's word.
func timeoutsOf(p *section) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, l := range append(p.inherited(), p.lines...) {
		if l.words[0] == "timeout" && readable(&l) {
			out[l.word(1)], _ = haproxyTime(l.word(2))
		}
	}
	return out
}

// concerns reports whether a timeout has an effect in a proxy.
func (k timeoutKey) concerns(p *section) bool {
	if strings.HasPrefix(k.word, "http-") && !isHTTP(p) {
		return false
	}
	switch p.kind {
	case "frontend":
		return k.side == clients
	case "backend":
		return k.side == servers
	}
	return true
}

// isHTTP reports whether the mode of a proxy is http.
func isHTTP(p *section) bool {
	lines := append(p.inherited(), p.lines...)
	return modeOf(&lines) == "http"
}

// commonTimeouts are those of most proxies; 0: haproxy has none there.
func (im *importer) commonTimeouts() map[string]time.Duration {
	common := map[string]time.Duration{}
	for _, k := range timeoutKeys {
		count := map[time.Duration]int{}
		for _, p := range im.proxies {
			if k.concerns(p) {
				count[timeoutsOf(p)[k.word]]++
			}
		}
		var values []time.Duration
		for d := range count {
			values = append(values, d)
		}
		sort.Slice(values, func(i, j int) bool {
			if count[values[i]] != count[values[j]] {
				return count[values[i]] > count[values[j]]
			}
			return values[i] < values[j]
		})
		if len(values) > 0 {
			common[k.word] = values[0]
		} else if im.main != nil {
			common[k.word] = timeoutsOf(&section{defaults: im.main})[k.word]
		}
	}
	return common
}

// ownTimeouts are the timeouts of a proxy that differ from the common ones.
// own: it has servers.
func (im *importer) ownTimeouts(p *section, common map[string]time.Duration, own bool) mapping {
	m := newMapping().flow()
	all := timeoutsOf(p)
	for _, k := range timeoutKeys {
		if k.concerns(p) && (own || k.side == clients) && all[k.word] != common[k.word] {
			m.set(k.key, all[k.word])
		}
	}
	return m
}

// take removes the lines that match and returns them.
func take(lines *[]line, match func(*line) bool) []line {
	var taken, left []line
	for _, l := range *lines {
		if match(&l) {
			taken = append(taken, l)
		} else {
			left = append(left, l)
		}
	}
	*lines = left
	return taken
}

func isKey(k string) func(*line) bool { return func(l *line) bool { return key(l) == k } }

func beginsWith(words ...string) func(*line) bool {
	return func(l *line) bool { return l.is(words...) }
}

// comments are the comments of lines.
func comments(lines ...line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.above...)
		if l.comment != "" {
			out = append(out, l.comment)
		}
	}
	return out
}

// text writes lines with their comments, as the spec's lines have them.
func text(lines []line) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.above...)
		t := l.tidy()
		if l.comment != "" {
			t += "  " + l.comment
		}
		out = append(out, t)
	}
	return strings.ReplaceAll(strings.Join(out, "\n"), "\t", " ")
}

// tidy writes the line with single blanks between its words.
func (l *line) tidy() string {
	var out []string
	for _, t := range l.tokens {
		out = append(out, l.raw[t.start:t.end])
	}
	return strings.Join(out, " ")
}

// noteLines reports lines that are passed through.
func (im *importer) noteLines(path string, lines []line) {
	for i := range lines {
		im.note(Lines, &lines[i], path, mask(lines[i].tidy()), "")
	}
}

var secretWords = regexp.MustCompile(`(?i)((?:stats\s+auth|send(?:-lf)?\s+["']?auth|auth_pass|\bauthorization|\b[a-z-]*passw(?:or)?d|\b[a-z_-]*token|\b[a-z_-]*secret|x-api-key)["']?(?:[\s:=]|\\ )+["']?(?:basic(?:\s|\\ )+|bearer(?:\s|\\ )+)?)([^\s"']+)`)

// mask hides what may be a secret in a line of the report.
func mask(s string) string { return secretWords.ReplaceAllString(strings.TrimSpace(s), "${1}(secret)") }

// service writes a frontend or listen section. It returns false if it cannot be a service.
func (im *importer) service(p *section, common map[string]time.Duration) (mapping, bool) {
	lines := im.resolve(p)
	m := newMapping()
	index := im.result.Fields["services"]
	path := fmt.Sprintf("services[%d]", index)
	binds := take(&lines, beginsWith("bind"))
	plan, raw, ok := im.planBinds(p, binds)
	if !ok {
		return m, false
	}
	name := im.serviceName(p)
	m.HeadComment = strings.Join(append(slices.Clone(p.head.above), commentOf(p.head)...), "\n")
	m.set("name", name)
	m.set("vip", oneOrList(plan.vips), comments(binds...)...)
	plan.write(m)
	mode := modeOf(&lines)
	m.set("mode", modeField(mode))
	im.auth(&lines, p.kind, p.name)
	own := slices.ContainsFunc(lines, func(l line) bool { return l.words[0] == "server" || l.words[0] == "server-template" })
	im.clientFields(m, &lines, mode, plan, im.ownTimeouts(p, common, own))
	im.leads(m, &lines, own, path)
	back := take(&lines, func(l *line) bool { return sideOf(l) == servers })
	if own {
		port := plan.onlyPort()
		if len(raw) > 0 {
			port = 0
		}
		back = im.pool(m, path+".", mode, back, p, port)
	}
	front := append(raw, lines...)
	im.linesOf(m, front, back, plan, path)
	for _, c := range p.below {
		m.FootComment = strings.TrimPrefix(m.FootComment+"\n"+c, "\n")
	}
	im.result.Fields["services"]++
	return m, true
}

func commentOf(l line) []string {
	if l.comment == "" {
		return nil
	}
	return []string{l.comment}
}

// linesOf writes what is passed through.
func (im *importer) linesOf(m mapping, front, back []line, plan *bindPlan, path string) {
	lines := newMapping()
	lines.set("frontend", block2(text(front)))
	im.noteLines(path+".lines.frontend", front)
	lines.set("backend", block2(text(back)))
	im.noteLines(path+".lines.backend", back)
	if plan.lines != "" {
		lines.set("bind", plan.lines)
	}
	m.set("lines", lines)
}

// block2 makes a text a block of lines.
func block2(s string) string {
	if s == "" {
		return ""
	}
	return s + "\n"
}

// serviceName returns the name of a service: that of the section, unless a backend has it.
func (im *importer) serviceName(p *section) string {
	name := p.name
	if p.kind == "frontend" && slices.ContainsFunc(im.proxies, func(q *section) bool { return q != p && q.kind != "frontend" && q.name == p.name }) {
		name += "-in"
		im.note(Changed, &p.head, "", fmt.Sprintf("the frontend %s is the service %s: a backend has its name, too, which haproxy 3.3 refuses", p.name, name), "")
	}
	im.result.rename["frontend "+p.name] = name
	return name
}

// modeOf takes the mode.
func modeOf(lines *[]line) string {
	mode := "tcp"
	for _, l := range take(lines, isKey("mode")) {
		mode = l.word(1)
	}
	return mode
}

// modeField is the mode as the spec has it: tcp is the default.
func modeField(mode string) string {
	if mode == "tcp" {
		return ""
	}
	return mode
}

// clientFields writes what concerns the clients.
func (im *importer) clientFields(m mapping, lines *[]line, mode string, plan *bindPlan, timeouts mapping) {
	for _, l := range take(lines, func(l *line) bool { return l.is("maxconn") && len(l.words) == 2 && number(l.word(1), 0) > 0 }) {
		m.set("maxconn", number(l.word(1), 0), comments(l)...)
	}
	m.set("timeouts", timeouts)
	take(lines, func(l *line) bool {
		return l.is("log", "global") || l.is("option", "tcplog") || l.is("option", "httplog") && len(l.words) == 2 || l.is("option", "dontlognull")
	})
	if mode != "http" {
		return
	}
	if !im.forwarded(lines, plan) {
		m.set("forwarded", false)
	}
	for _, l := range take(lines, func(l *line) bool { return l.is("monitor-uri") && len(l.words) == 2 && uriPath.MatchString(l.word(1)) }) {
		m.set("health_page", l.word(1), comments(l)...)
	}
	im.errorFiles(m, lines)
	im.compression(m, lines)
}

var (
	uriPath    = regexp.MustCompile(`^/[A-Za-z0-9._~!$&()*+,;=:@%/-]*$`)
	nodePath   = regexp.MustCompile(`^/[A-Za-z0-9._+@/-]+$`)
	mimeType   = regexp.MustCompile(`^[A-Za-z0-9!$&^_.+-]+/[A-Za-z0-9!$&^_.+*-]+$`)
	httpsIfTLS = regexp.MustCompile(`^http-request\s+set-header\s+X-Forwarded-Proto\s+https(\s+if\s+\{\s+ssl_fc\s+\})?$`)
	httpElse   = regexp.MustCompile(`^http-request\s+set-header\s+X-Forwarded-Proto\s+http\s+(if\s+!\{\s+ssl_fc\s+\}|unless\s+\{\s+ssl_fc\s+\})$`)
	httpOnly   = regexp.MustCompile(`^http-request\s+set-header\s+X-Forwarded-Proto\s+http$`)
)

// forwarded takes the lines that the field forwarded stands for, if they are all there.
func (im *importer) forwarded(lines *[]line, plan *bindPlan) bool {
	has := func(r *regexp.Regexp) (conditional, ok bool) {
		for _, l := range *lines {
			if m := r.FindStringSubmatch(l.tidy()); m != nil {
				return len(m) > 1 && m[1] != "", true
			}
		}
		return false, false
	}
	plain := func(l *line) bool { return l.is("option", "forwardfor") && len(l.words) == 2 }
	if !slices.ContainsFunc(*lines, func(l line) bool { return plain(&l) }) {
		return false
	}
	conditional, https := has(httpsIfTLS)
	_, otherwise := has(httpElse)
	_, clear := has(httpOnly)
	var ok bool
	switch plan.tls() {
	case "all":
		ok = https && !otherwise && !clear
	case "some":
		ok = https && conditional && otherwise
	default:
		ok = clear && !https
	}
	if !ok {
		return false
	}
	take(lines, func(l *line) bool {
		raw := l.tidy()
		return plain(l) || httpsIfTLS.MatchString(raw) || httpElse.MatchString(raw) || httpOnly.MatchString(raw)
	})
	return true
}

func (im *importer) errorFiles(m mapping, lines *[]line) {
	var files []mapping
	taken := take(lines, func(l *line) bool {
		return l.is("errorfile") && len(l.words) == 3 && nodePath.MatchString(l.word(2))
	})
	for _, l := range taken {
		e := newMapping().flow()
		e.set("status", number(l.word(1), 503))
		e.set("path", l.word(2))
		files = append(files, e)
	}
	m.set("error_files", files, comments(taken...)...)
}

// compression takes compression by gzip.
func (im *importer) compression(m mapping, lines *[]line) {
	var types []string
	algo, whole := false, true
	for _, l := range *lines {
		switch {
		case l.is("compression", "algo", "gzip") && len(l.words) == 3:
			algo = true
		case l.is("compression", "type"):
			for _, t := range l.words[2:] {
				whole = whole && mimeType.MatchString(t)
				types = append(types, t)
			}
		case l.is("compression"):
			whole = false
		}
	}
	if algo && whole && len(types) > 0 {
		taken := take(lines, beginsWith("compression"))
		m.set("compression", types, comments(taken...)...)
	}
}

// leads takes where the requests go: routes if all have a condition, and the default backend.
func (im *importer) leads(m mapping, lines *[]line, own bool, path string) {
	uses := func(l *line) bool { return l.words[0] == "use_backend" }
	whole := true
	for _, l := range *lines {
		if uses(&l) && (l.word(2) != "if" || strings.Contains(l.word(1), "$") || strings.ContainsAny(l.from(3), `$`) || !im.leadsToKnown(l.word(1))) {
			whole = false
		}
	}
	var routes []mapping
	if whole {
		for _, l := range take(lines, uses) {
			r := newMapping().flow()
			r.set("when", l.from(3))
			r.set("backend", l.word(1))
			if c := comments(l); len(c) > 0 {
				r.HeadComment = strings.Join(c, "\n")
			}
			routes = append(routes, r)
			im.result.Fields["routes"]++
		}
	}
	m.set("routes", routes)
	for _, l := range *lines {
		if l.words[0] != "default_backend" || len(l.words) < 2 {
			continue
		}
		if own || !im.leadsToKnown(l.word(1)) {
			return // stays among the lines
		}
		m.set("backend", l.word(1), comments(l)...)
	}
	if !own {
		take(lines, beginsWith("default_backend"))
	}
}

// leadsToKnown reports whether a name is that of a backend, or is only known at each request.
func (im *importer) leadsToKnown(name string) bool {
	if strings.Contains(name, "%[") {
		return !strings.ContainsAny(name, " \t\"'\\#")
	}
	return slices.ContainsFunc(im.proxies, func(p *section) bool { return p.kind != "frontend" && p.name == name })
}
