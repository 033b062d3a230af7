package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// check takes how the servers are checked.
func (im *importer) check(m mapping, lines *[]line, list []server, defaults server, path string) {
	checked := 0
	for _, s := range list {
		if s.check || defaults.check {
			checked++
		}
	}
	if checked == 0 {
		if len(list) > 0 {
			m.set("check", false)
		}
		im.unchecked(list, path)
		im.serverTimes(nil, list, defaults)
		return
	}
	for i := range list {
		if !list[i].check && !defaults.check {
			list[i].add("no-check")
			im.note(Wrong, nil, fmt.Sprintf("%sservers[%d]", path, i), fmt.Sprintf("the server %s has no health check, and others of its backend have one", list[i].name), "")
		}
	}
	c := newMapping()
	im.protocol(c, lines)
	im.serverTimes(&c, list, defaults)
	if len(c.Content) <= 6 {
		c.Style = yaml.FlowStyle
	}
	m.set("check", c)
}

// unchecked reports servers that are not checked.
func (im *importer) unchecked(list []server, path string) {
	for i := range list {
		im.note(Wrong, nil, fmt.Sprintf("%sservers[%d]", path, i), fmt.Sprintf("the server %s has no health check: requests are lost while it is down", list[i].name), "remove check: false, or write a check")
	}
}

// noHealthCheck reports servers without a check that are passed through.
func (im *importer) noHealthCheck(p *section, lines []line) {
	for i := range lines {
		l := &lines[i]
		if l.words[0] == "server" && !slices.Contains(l.words, "check") && !slices.ContainsFunc(lines, func(d line) bool { return d.is("default-server") && slices.Contains(d.words, "check") }) {
			im.note(Wrong, l, "", fmt.Sprintf("the server %s of %s has no health check: requests are lost while it is down", l.word(1), p.name), "")
		}
	}
}

// serverTimes moves how often and where servers are checked to the fields, if all servers agree, and else to their lines.
func (im *importer) serverTimes(c *mapping, list []server, d server) {
	one := func(get func(*server) *string, given string) (value string, same bool) {
		if len(list) == 0 {
			return given, true
		}
		value = or(*get(&list[0]), given)
		for i := range list {
			if or(*get(&list[i]), given) != value {
				return "", false
			}
		}
		return value, true
	}
	usual := im.commonCheck()
	for _, f := range []struct {
		word, key, given, usual string
		get                     func(*server) *string
	}{
		{"inter", "interval", d.inter, usual.inter, func(s *server) *string { return &s.inter }},
		{"rise", "rise", d.rise, usual.rise, func(s *server) *string { return &s.rise }},
		{"fall", "fall", d.fall, usual.fall, func(s *server) *string { return &s.fall }},
		{"port", "port", d.checkPort, "", func(s *server) *string { return &s.checkPort }},
	} {
		value, same := one(f.get, f.given)
		if same && c != nil && im.setTime(*c, f.key, value, f.usual) {
			continue
		}
		for i := range list {
			if v := or(*f.get(&list[i]), f.given); v != "" && v != f.usual {
				list[i].add(f.word, v)
			}
		}
	}
}

// setTime writes a number or a time of a check, unless it is the usual one.
func (im *importer) setTime(c mapping, key, value, usual string) bool {
	if value == "" || sameTime(value, usual) {
		return value != "" || usual == ""
	}
	if key == "interval" {
		d, ok := haproxyTime(value)
		if ok && d > 0 {
			c.set(key, d)
		}
		return ok && d > 0
	}
	n, err := strconv.Atoi(value)
	if err == nil && n > 0 {
		c.set(key, n)
	}
	return err == nil && n > 0
}

func sameTime(a, b string) bool {
	x, ok1 := haproxyTime(a)
	y, ok2 := haproxyTime(b)
	return a == b || ok1 && ok2 && x == y
}

// commonCheck is what haproxy.check says: the words of default-server in the defaults section that all share, or haproxy's
// own values.
func (im *importer) commonCheck() server {
	d := server{}
	if im.main != nil {
		d = im.defaultServer(&section{defaults: im.main}, &[]line{})
	}
	return server{inter: or(d.inter, "2s"), rise: or(d.rise, "2"), fall: or(d.fall, "3")}
}

var (
	accountName = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)
	checkURI    = regexp.MustCompile(`^(/[A-Za-z0-9._~!$&()*+,;=:@%/?-]*|\*)$`)
	hostValue   = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]+$`)
	headerName  = regexp.MustCompile(`^[A-Za-z0-9!$&*+.^_~-]+$`)
	statusWord  = regexp.MustCompile(`^[1-5][0-9]{2}(-[1-5][0-9]{2})?$`)
)

// protocol takes what is asked and expected, or leaves it among the lines.
func (im *importer) protocol(c mapping, lines *[]line) {
	isCheck := func(l *line) bool {
		return key(l) == "option check" || l.words[0] == "http-check" || l.words[0] == "tcp-check"
	}
	var all []line
	for _, l := range *lines {
		if isCheck(&l) {
			all = append(all, l)
		}
	}
	i := slices.IndexFunc(all, func(l line) bool { return key(&l) == "option check" && l.words[0] == "option" })
	if i < 0 {
		return
	}
	option := all[i]
	ok := false
	switch option.word(1) {
	case "httpchk":
		ok = httpCheck(c, option, all)
	case "tcp-check":
		ok = tcpCheck(c, all)
	case "mysql-check":
		w := slices.DeleteFunc(slices.Clone(option.words[2:]), func(s string) bool { return s == "post-41" })
		if ok = len(all) == 1 && (len(w) == 0 || len(w) == 2 && w[0] == "user" && accountName.MatchString(w[1])); ok {
			c.set("protocol", "mysql")
			if len(w) == 2 {
				c.set("user", w[1])
			}
		}
	case "pgsql-check":
		if ok = len(all) == 1 && len(option.words) == 4 && option.word(2) == "user" && accountName.MatchString(option.word(3)); ok {
			c.set("protocol", "pgsql")
			c.set("user", option.word(3))
		}
	case "smtpchk":
		hello := strings.Join(option.words[2:], " ")
		if ok = len(all) == 1 && (hello == "" || regexp.MustCompile(`^(HELO|EHLO) [A-Za-z0-9.-]+$`).MatchString(hello)); ok {
			c.set("protocol", "smtp")
			c.set("hello", hello)
		}
	case "redis-check", "ldap-check", "ssl-hello-chk":
		if ok = len(all) == 1 && len(option.words) == 2; ok {
			c.set("protocol", strings.TrimSuffix(strings.TrimSuffix(option.word(1), "-check"), "-hello-chk"))
		}
	}
	if ok {
		taken := take(lines, isCheck)
		if above := comments(taken...); len(above) > 0 && len(c.Content) > 0 {
			c.Content[0].HeadComment = strings.Join(above, "\n")
		}
	}
}

// request is what an HTTP check sends.
type request struct {
	method, uri, version, host string
	headers                    [][2]string
	ok                         bool
}

// readRequest reads "option httpchk" and "http-check send".
func readRequest(option line, all []line) request {
	r := request{method: "OPTIONS", uri: "/", version: "1.0", ok: true}
	rest := option.words[2:]
	if len(rest) == 1 {
		r.uri = rest[0]
	}
	if len(rest) > 1 {
		r.method, r.uri = rest[0], rest[1]
	}
	if len(rest) > 2 {
		version, headers, _ := strings.Cut(strings.Join(rest[2:], " "), "\r\n")
		r.version = strings.TrimPrefix(version, "HTTP/")
		for _, h := range strings.Split(strings.TrimSuffix(headers, "\r\n"), "\r\n") {
			if h != "" {
				name, value, found := strings.Cut(h, ":")
				r.ok = r.ok && found
				r.header(name, strings.TrimSpace(value))
			}
		}
	}
	for _, l := range all {
		if !l.is("http-check", "send") {
			continue
		}
		for i := 2; i < len(l.words); {
			switch l.words[i] {
			case "meth":
				r.method = l.word(i + 1)
			case "uri":
				r.uri = l.word(i + 1)
			case "ver":
				r.version = strings.TrimPrefix(l.word(i+1), "HTTP/")
			case "hdr":
				r.header(l.word(i+1), l.word(i+2))
				r.ok = r.ok && !strings.Contains(l.word(i+2), "%")
				i++
			default:
				r.ok = false
			}
			i += 2
		}
	}
	return r
}

func (r *request) header(name, value string) {
	if strings.EqualFold(name, "host") {
		r.host = value
		return
	}
	r.headers = append(r.headers, [2]string{name, value})
}

// httpCheck takes a check by HTTP.
func httpCheck(c mapping, option line, all []line) bool {
	r := readRequest(option, all)
	expect, ok := readExpect(all)
	if !ok || !r.fits() {
		return false
	}
	c.set("http", r.method+" "+r.uri)
	if r.version == "1.0" {
		c.set("version", r.version)
	}
	c.set("host", r.host)
	headers := newMapping().flow()
	for _, h := range r.headers {
		headers.set(h[0], h[1])
	}
	c.set("headers", headers)
	c.set("expect", expect)
	return true
}

// fits reports whether the spec can describe the request.
func (r request) fits() bool {
	if !r.ok || !checkURI.MatchString(r.uri) || strings.Trim(r.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return false
	}
	if r.version != "1.0" && r.version != "1.1" || r.version == "1.1" && r.host == "" || r.host != "" && !hostValue.MatchString(r.host) {
		return false
	}
	for _, h := range r.headers {
		if !headerName.MatchString(h[0]) || h[1] == "" || strings.ContainsAny(h[1], "\r\n\t") {
			return false
		}
	}
	return true
}

// readExpect reads "http-check expect" of a check that has no other line but its request. It returns false if the spec has no
// such expectation.
func readExpect(all []line) (*yaml.Node, bool) {
	expect := newMapping().flow()
	var status []string
	sends := 0
	for _, l := range all {
		switch {
		case key(&l) == "option check":
		case l.is("http-check", "send"):
			sends++
		case l.is("http-check", "expect", "status") && len(l.words) == 4:
			for _, s := range strings.Split(l.word(3), ",") {
				if !statusWord.MatchString(s) {
					return nil, false
				}
				status = append(status, s)
			}
		case l.is("http-check", "expect", "string") && len(l.words) == 4 && !strings.ContainsAny(l.word(3), "\r\n\t"):
			expect.set("text", l.word(3))
		case l.is("http-check", "expect", "rstring") && len(l.words) == 4 && !strings.ContainsAny(l.word(3), "\r\n\t"):
			expect.set("regex", l.word(3))
		default:
			return nil, false
		}
	}
	if sends > 1 || len(expect.Content) > 2 || !expect.empty() && len(status) > 0 {
		return nil, false
	}
	switch len(status) {
	case 0:
		return node(expect), true
	case 1:
		return node(plain(status[0])), true
	}
	list := listNode(status)
	for i, s := range status {
		list.Content[i] = node(plain(s))
	}
	return list, true
}

// plain is a status: a number, or a range in quotes.
func plain(status string) any {
	if n, err := strconv.Atoi(status); err == nil {
		return n
	}
	return status
}

// tcpCheck takes a check by steps of TCP.
func tcpCheck(c mapping, all []line) bool {
	var steps []mapping
	for _, l := range all {
		if key(&l) == "option check" {
			continue
		}
		kind, value := "", ""
		switch {
		case l.is("tcp-check", "send") && len(l.words) == 3:
			kind, value = "send", l.word(2)
		case l.is("tcp-check", "send-binary") && len(l.words) == 3:
			kind, value = "send_binary", l.word(2)
		case l.is("tcp-check", "expect", "string") && len(l.words) == 4:
			kind, value = "expect", l.word(3)
		case l.is("tcp-check", "expect", "rstring") && len(l.words) == 4:
			kind, value = "expect_regex", l.word(3)
		case l.is("tcp-check", "expect", "binary") && len(l.words) == 4:
			kind, value = "expect_binary", l.word(3)
		}
		if kind == "" || value == "" || strings.ContainsRune(value, 0) || secretWords.MatchString(value) {
			return false
		}
		if kind == "send" || kind == "expect" {
			value = escapeStep(value)
		}
		m := newMapping().flow()
		m.set(kind, value)
		steps = append(steps, m)
	}
	if len(steps) == 0 {
		return false
	}
	list := node(steps)
	list.Style = yaml.FlowStyle
	c.set("tcp", list)
	return true
}

// escapeStep writes the bytes of a step as the spec takes them.
func escapeStep(s string) string {
	return strings.NewReplacer("\\", `\\`, "\r", `\r`, "\n", `\n`, "\t", `\t`).Replace(s)
}
