package adopt

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// backend writes a backend section, or a listen section that binds nothing.
func (im *importer) backend(p *section, common map[string]time.Duration) mapping {
	lines := im.resolve(p)
	m := newMapping()
	path := "backends[" + strconv.Itoa(im.result.Fields["backends"]) + "]"
	m.HeadComment = strings.Join(append(slices.Clone(p.head.above), commentOf(p.head)...), "\n")
	m.set("name", p.name)
	mode := modeOf(&lines)
	im.auth(&lines, p.kind, p.name)
	m.set("mode", mode)
	m.set("timeouts", im.ownTimeouts(p, common, true))
	take(&lines, func(l *line) bool { return l.is("log", "global") })
	lines = im.pool(m, path+".", mode, lines, p, 0)
	m.set("lines", block2(text(lines)))
	im.noteLines(path+".lines", lines)
	im.result.Fields["backends"]++
	return m
}

// pool writes what concerns the servers, and returns the lines that have no field. port is the only port of the service.
func (im *importer) pool(m mapping, path, mode string, lines []line, p *section, port int) []line {
	for _, l := range take(&lines, func(l *line) bool { return l.is("balance") && knownBalance(l.words[1:], mode) }) {
		if b := strings.Join(l.words[1:], " "); b != "roundrobin" {
			m.set("balance", b, comments(l)...)
		}
	}
	list := im.readServers(lines, p, port)
	if list == nil {
		im.noHealthCheck(p, lines)
		return append(im.inheritedServerWords(p), lines...)
	}
	defaults := im.defaultServer(p, &lines)
	sticky := im.sticky(m, &lines, list, mode)
	im.check(m, &lines, list, defaults, path)
	taken := take(&lines, beginsWith("server"))
	var out []mapping
	for i := range list {
		out = append(out, list[i].write(sticky, comments(taken[i])))
		im.result.Fields["servers"]++
		if list[i].lines != "" {
			im.note(Lines, &taken[i], path+"servers["+strconv.Itoa(i)+"].lines", list[i].lines, "")
		}
	}
	m.set("servers", out)
	return lines
}

var balanceWords = regexp.MustCompile(`^(?:roundrobin|static-rr|leastconn|first|source|random(\([1-9][0-9]{0,3}\))?|rdp-cookie(\([A-Za-z0-9_-]+\))?|uri( whole| path-only| len [1-9][0-9]{0,5}| depth [1-9][0-9]{0,5})*|url_param [A-Za-z0-9._~-]+|hdr\([A-Za-z0-9-]+\)( use_domain_only)?)$`)

func knownBalance(words []string, mode string) bool {
	text := strings.Join(words, " ")
	http := strings.HasPrefix(text, "uri") || strings.HasPrefix(text, "url_param") || strings.HasPrefix(text, "hdr")
	return balanceWords.MatchString(text) && (!http || mode == "http")
}

// sticky takes the cookie, or the table of clients' addresses, and reports whether servers have cookies.
func (im *importer) sticky(m mapping, lines *[]line, list []server, mode string) bool {
	cookies := take(lines, isKey("cookie"))
	if len(cookies) == 1 && list != nil && mode == "http" {
		l := cookies[0]
		whole := cookieName.MatchString(l.word(1)) && !slices.ContainsFunc(list, func(s server) bool { return s.cookie == "" }) && len(l.words) > 2
		for _, w := range l.words[2:] {
			whole = whole && cookieWord.MatchString(w)
		}
		if whole {
			s := newMapping().flow()
			s.set("cookie", l.word(1))
			if options := strings.Join(l.words[2:], " "); options != "insert indirect nocache" {
				s.set("options", options)
			}
			m.set("sticky", s, comments(l)...)
			return true
		}
	}
	*lines = append(cookies, *lines...)
	for i := range list {
		if list[i].cookie != "" {
			list[i].add("cookie", list[i].cookie)
		}
	}
	im.stickTable(m, lines)
	return false
}

var cookieWord = regexp.MustCompile(`^[A-Za-z0-9._:/=-]+$`)

// stickTable takes a table of clients' addresses.
func (im *importer) stickTable(m mapping, lines *[]line) {
	tables, sticks := 0, 0
	var table, stick line
	for _, l := range *lines {
		switch l.words[0] {
		case "stick-table":
			tables, table = tables+1, l
		case "stick":
			sticks, stick = sticks+1, l
		}
	}
	if tables != 1 || sticks != 1 || strings.Join(stick.words, " ") != "stick on src" {
		return
	}
	size, expire := "", ""
	for i := 1; i+1 < len(table.words); i += 2 {
		switch w, v := table.words[i], table.words[i+1]; {
		case w == "type" && (v == "ip" || v == "ipv6"), w == "peers":
		case w == "size":
			size = v
		case w == "expire":
			expire = v
		default:
			return
		}
	}
	d, ok := haproxyTime(expire)
	if len(table.words)%2 == 0 || !ok || d < time.Second || !sizeWord.MatchString(size) {
		return
	}
	take(lines, func(l *line) bool { return l.words[0] == "stick-table" || l.words[0] == "stick" })
	s := newMapping().flow()
	s.set("source", d)
	s.set("size", size)
	m.set("sticky", s, comments(table, stick)...)
	im.note(Changed, &table, "", "the table of clients is shared by the nodes: a failover does not lose it", "")
}

var sizeWord = regexp.MustCompile(`^[1-9][0-9]*[kmgKMG]?$`)
