package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

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
		return l.is("log", "global") || l.is("option", "tcplog") || l.is("option", "httplog") && len(l.words) == 2 || l.is("option", "dontlognull") || l.is("option", "idle-close-on-response")
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
