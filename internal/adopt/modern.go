package adopt

import (
	"fmt"
	"regexp"
	"strings"
)

// modernise rewrites what haproxy has removed since 1.5 as the releases' haproxy has it. What has no equivalent is lost, with
// the reason.
func (im *importer) modernise() {
	for _, s := range im.sections {
		im.legacyAddress(s)
		var lines []line
		for _, l := range s.lines {
			lines = append(lines, im.modern(s, l)...)
		}
		s.lines = lines
		im.lastRoute(s)
		im.serverNames(s)
	}
}

// serverNames gives a server that has the name of an earlier one of its section another name: haproxy 2.8 refuses the same.
func (im *importer) serverNames(s *section) {
	taken := map[string]bool{}
	for i := range s.lines {
		l := &s.lines[i]
		if l.words[0] != "server" || len(l.words) < 3 {
			continue
		}
		name := l.words[1]
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", l.words[1], n)
		}
		taken[name] = true
		if name != l.words[1] {
			im.note(Wrong, l, "", fmt.Sprintf("%s %s has two servers named %s: this one is %s now", s.kind, s.name, l.words[1], name), "haproxy 2.8 refuses such names")
			*l = im.rewrite(*l, "server "+name+" "+l.from(2))
		}
	}
}

// checkHeaders rewrites a check with headers in its version, which haproxy 2.8 refuses.
func (im *importer) checkHeaders(l line) []line {
	r := readRequest(l, nil)
	if !r.ok {
		im.note(Lost, &l, "", "the headers of the check are not understood: "+l.tidy(), "write them with http-check send")
		return nil
	}
	text := fmt.Sprintf("http-check send meth %s uri %s ver HTTP/%s", quoteWord(r.method), quoteWord(r.uri), r.version)
	if r.host != "" {
		text += " hdr Host " + quoteWord(r.host)
	}
	for _, h := range r.headers {
		text += " hdr " + quoteWord(h[0]) + " " + quoteWord(strings.ReplaceAll(h[1], "%", "%%"))
	}
	first := im.changed(l, "option httpchk")
	return []line{first, newLine(l.file, l.number, text)}
}

// Modern returns the old haproxy.cfg without what haproxy has removed, as the spec takes it.
func (r *Result) Modern() string {
	var b strings.Builder
	for _, s := range r.old {
		head := strings.TrimSpace(s.kind + " " + s.name)
		if s.from != "" {
			head += " from " + s.from
		}
		b.WriteString(head + "\n")
		for i := range s.lines {
			b.WriteString("    " + s.lines[i].tidy() + "\n")
		}
	}
	return b.String()
}

// lastRoute makes the last use_backend a default_backend if it has no condition.
func (im *importer) lastRoute(s *section) {
	last := -1
	for i := range s.lines {
		if s.lines[i].words[0] == "use_backend" {
			last = i
		}
	}
	if last < 0 || len(s.lines[last].words) != 2 || strings.Contains(s.lines[last].word(1), "%") {
		return
	}
	s.lines[last] = im.rewrite(s.lines[last], "default_backend "+s.lines[last].word(1))
	for i := range s.lines {
		if i != last && s.lines[i].words[0] == "default_backend" {
			im.note(Wrong, &s.lines[i], "", fmt.Sprintf("%q has no effect: a use_backend without a condition comes before it", s.lines[i].raw), "")
			s.lines = append(s.lines[:i], s.lines[i+1:]...)
			return
		}
	}
}

// legacyAddress moves the address in the head of a section, as in "listen web 10.0.0.1:80", to a bind line (removed in 2.1).
func (im *importer) legacyAddress(s *section) {
	if (s.kind == "listen" || s.kind == "frontend") && len(s.head.words) > 2 && s.head.words[2] != "from" {
		l := newLine(s.head.file, s.head.number, "bind "+s.head.from(2))
		im.note(Changed, &s.head, "", "the address in the head of the section is a bind line now", "haproxy 2.1 removed the old form")
		s.lines = append([]line{l}, s.lines...)
	}
}

// rewritten are keywords that have another form now.
var rewritten = map[string]string{
	"clitimeout": "timeout client", "srvtimeout": "timeout server", "contimeout": "timeout connect",
	"redispatch": "option redispatch", "redisp": "option redispatch", "option forceclose": "option httpclose",
	"option http-tunnel": "", "option tcpka": "option tcpka",
}

// removed are keywords that are gone and had no effect on requests, with the reason.
var removed = map[string]string{
	"nbproc":                    "haproxy 2.5 removed it: one process has threads on all processors",
	"bind-process":              "haproxy 2.5 removed it with nbproc",
	"nosplice":                  "only a tuning of old kernels",
	"debug":                     "only for a terminal",
	"quiet":                     "only for a terminal",
	"daemon":                    "",
	"option http-tunnel":        "haproxy 2.1 removed it",
	"option http-use-htx":       "haproxy 2.1 has nothing else",
	"no option http-use-htx":    "haproxy 2.1 has nothing else",
	"tune.chksize":              "haproxy 2.4 removed it",
	"option forceclose-unused":  "",
	"option tcp-smart-accept-x": "",
}

func (im *importer) modern(s *section, l line) []line {
	if len(l.words) == 0 {
		return nil
	}
	for _, n := range []int{3, 2, 1} {
		if len(l.words) < n {
			continue
		}
		old := strings.Join(l.words[:n], " ")
		if now, ok := rewritten[old]; ok && now != "" && now != old {
			im.note(Changed, &l, "", fmt.Sprintf("%q is %q now", old, now), "")
			return []line{im.rewrite(l, now+" "+l.from(n))}
		}
		if why, ok := removed[old]; ok {
			if why != "" {
				im.note(Changed, &l, "", fmt.Sprintf("%q is left out", l.tidy()), why)
			}
			return nil
		}
	}
	switch l.words[0] {
	case "option":
		if l.word(1) == "httpchk" && strings.Contains(strings.Join(l.words, " "), "\r\n") {
			return im.checkHeaders(l)
		}
	case "bind", "stats":
		return []line{im.withoutProcess(l)}
	case "block":
		return []line{im.changed(l, "http-request deny "+l.from(1))}
	case "reqadd", "rspadd":
		return im.addHeader(l)
	case "reqdel", "reqidel", "rspdel", "rspidel":
		return im.delHeader(l)
	case "reqrep", "reqirep":
		return im.replaceRequest(l)
	case "rsprep", "rspirep":
		return im.replaceResponse(l)
	case "reqallow", "reqiallow", "reqdeny", "reqideny", "reqpass", "reqipass", "reqtarpit", "reqitarpit", "rspdeny", "rspideny", "reqsetbe", "reqisetbe", "appsession", "monitor-net":
		im.note(Lost, &l, "", fmt.Sprintf("%q has no equivalent that can be derived: %s", l.words[0], l.tidy()), "haproxy 2.1 removed it; write it with http-request in the service's lines")
		return nil
	case "monitor":
	case "mode":
		if l.word(1) == "health" {
			im.note(Lost, &l, "", "mode health is gone", "haproxy 2.1 removed it; use health_page or http-request return")
			return nil
		}
	}
	if s.kind == "global" && l.words[0] == "cpu-map" && !strings.Contains(l.word(1), "/") && l.word(1) != "all" && l.word(1) != "auto:1" {
		im.note(Changed, &l, "", fmt.Sprintf("%q is left out", l.tidy()), "it bound processes of nbproc")
		return nil
	}
	return []line{l}
}

// rewrite returns a line with another text.
func (im *importer) rewrite(l line, text string) line {
	out := newLine(l.file, l.number, strings.TrimSpace(text))
	out.above, out.comment = l.above, l.comment
	return out
}

// changed is rewrite with a note.
func (im *importer) changed(l line, text string) line {
	im.note(Changed, &l, "", fmt.Sprintf("%q is %q now", l.tidy(), strings.TrimSpace(text)), "haproxy has removed the old form")
	return im.rewrite(l, text)
}

var processWord = regexp.MustCompile(`\s+(?:process|bind-process)\s+\S+`)

func (im *importer) withoutProcess(l line) line {
	if text := processWord.ReplaceAllString(l.raw, ""); text != l.raw {
		im.note(Changed, &l, "", "the word process is left out", "it named processes of nbproc, which haproxy 2.5 removed")
		return im.rewrite(l, text)
	}
	return l
}

// quoteWord writes a text as one word of haproxy.cfg.
func quoteWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\"'\\#$") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// condition returns the "if" or "unless" at the end of a line, from a word on.
func conditionOf(l *line, from int) string {
	for i := from; i < len(l.words); i++ {
		if l.words[i] == "if" || l.words[i] == "unless" {
			return " " + l.from(i)
		}
	}
	return ""
}

func (im *importer) addHeader(l line) []line {
	rule := "http-request"
	if l.words[0] == "rspadd" {
		rule = "http-response"
	}
	name, value, ok := strings.Cut(l.word(1), ":")
	if !ok {
		im.note(Lost, &l, "", "the header is not understood: "+l.tidy(), "")
		return nil
	}
	return []line{im.changed(l, fmt.Sprintf("%s add-header %s %s%s", rule, name, quoteWord(strings.ReplaceAll(strings.TrimSpace(value), "%", "%%")), conditionOf(&l, 2)))}
}

var plainHeader = regexp.MustCompile(`^\^?([A-Za-z0-9-]+):?(\.\*|\s*\.\*)?$`)

func (im *importer) delHeader(l line) []line {
	rule := "http-request"
	if strings.HasPrefix(l.words[0], "rsp") {
		rule = "http-response"
	}
	m := plainHeader.FindStringSubmatch(l.word(1))
	if m == nil {
		im.note(Lost, &l, "", fmt.Sprintf("%q is a pattern that is not the name of one header", l.word(1)), "haproxy 2.1 removed it; write it with "+rule+" del-header")
		return nil
	}
	return []line{im.changed(l, fmt.Sprintf("%s del-header %s%s", rule, m[1], conditionOf(&l, 2)))}
}

var (
	requestLine = regexp.MustCompile(`^\^?\(\[\^\\? ?:?\]\*(\\? ?)\)(\\? )?`)
	reference   = regexp.MustCompile(`\\([1-9])`)
	headerRule  = regexp.MustCompile(`^\^?([A-Za-z0-9-]+):(?:\\? )?(.*)$`)
)

// replaceRequest rewrites the usual form of reqrep: the method is kept, and the path is replaced (configuration.txt of 2.0,
// reqrep; management guide of 2.1).
func (im *importer) replaceRequest(l line) []line {
	search, replace := l.word(1), l.word(2)
	if m := requestLine.FindString(search); m != "" && strings.HasPrefix(replace, `\1`) {
		rest := search[len(m):]
		to := strings.TrimLeft(strings.TrimPrefix(replace, `\1`), `\ `)
		to = reference.ReplaceAllStringFunc(to, func(r string) string { return `\` + string(r[1]-1) })
		if strings.HasPrefix(to, "/") || strings.HasPrefix(to, `\`) {
			return []line{im.changed(l, fmt.Sprintf("http-request replace-uri %s %s%s", quoteWord("^"+unblank(rest)), quoteWord(to), conditionOf(&l, 3)))}
		}
	}
	if m := headerRule.FindStringSubmatch(search); m != nil && l.words[0] == "reqirep" {
		if _, value, ok := strings.Cut(replace, ":"); ok && strings.HasPrefix(strings.ToLower(replace), strings.ToLower(m[1])+":") {
			return []line{im.changed(l, fmt.Sprintf("http-request replace-header %s %s %s%s", m[1], quoteWord(unblank(m[2])), quoteWord(strings.TrimLeft(value, `\ `)), conditionOf(&l, 3)))}
		}
	}
	im.note(Lost, &l, "", "the replacement cannot be derived: "+l.tidy(), "haproxy 2.1 removed reqrep; write it with http-request replace-path or replace-header in the service's lines")
	return nil
}

func (im *importer) replaceResponse(l line) []line {
	if m := headerRule.FindStringSubmatch(l.word(1)); m != nil {
		if _, value, ok := strings.Cut(l.word(2), ":"); ok {
			return []line{im.changed(l, fmt.Sprintf("http-response replace-header %s %s %s%s", m[1], quoteWord(unblank(m[2])), quoteWord(strings.TrimLeft(value, `\ `)), conditionOf(&l, 3)))}
		}
	}
	im.note(Lost, &l, "", "the replacement cannot be derived: "+l.tidy(), "haproxy 2.1 removed rsprep; write it with http-response replace-header in the service's lines")
	return nil
}

// unblank removes the escapes of blanks from a regular expression.
func unblank(s string) string { return strings.ReplaceAll(s, `\ `, " ") }
