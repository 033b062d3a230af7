package adopt

import (
	"net/netip"
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

// server is a server line, word by word.
type server struct {
	name, address, sendProxy, cookie string
	port                             int
	check, backup                    bool
	weight                           *int
	maxconn                          int
	ssl                              bool
	verify, ca, crt, alpn            string
	inter, rise, fall, checkPort     string
	lines                            string
}

var (
	serverName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$`)
	dnsName    = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)
	socketName = regexp.MustCompile(`^((unix@)?/[A-Za-z0-9._/-]+|abns@[A-Za-z0-9._/-]+)$`)
	cookieName = regexp.MustCompile(`^[A-Za-z0-9!$&*+.^_~-]+$`)
)

// readServers reads the servers; nil if one of them must be passed through, and with it all, so that their order holds.
func (im *importer) readServers(lines []line, p *section, port int) []server {
	out := []server{}
	names, addresses := map[string]bool{}, map[string]bool{}
	for i := range lines {
		l := &lines[i]
		switch l.words[0] {
		case "server-template":
			return nil
		case "server":
		default:
			continue
		}
		s, ok := readServer(l)
		if s.name != "" && names[s.name] {
			im.note(Wrong, l, "", "the backend "+p.name+" has two servers named "+s.name, "")
			return nil
		}
		at := s.address + " " + strconv.Itoa(s.port)
		if !ok || s.port == 0 && port == 0 && !socketName.MatchString(s.address) {
			return nil
		}
		if addresses[at] {
			im.note(Wrong, l, "", "the backend "+p.name+" has the address of "+s.name+" twice", "")
		}
		names[s.name], addresses[at] = true, true
		out = append(out, s)
	}
	return out
}

// serverAddress cuts an address of a server line.
func serverAddress(s string) (host string, port int, ok bool) {
	for _, prefix := range []string{"ipv4@", "ipv6@"} {
		s = strings.TrimPrefix(s, prefix)
	}
	if socketName.MatchString(s) {
		return s, 0, true
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && (a.Is4() || strings.HasPrefix(s, "[") || strings.HasSuffix(s, "::")) {
		return a.String(), 0, a.Zone() == ""
	}
	host = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host = s[:i]
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n < 0 || n > 65535 || strings.HasPrefix(s[i+1:], "+") {
			return "", 0, false
		}
		port = n
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), port, a.Zone() == "" && !a.IsUnspecified()
	}
	return host, port, dnsName.MatchString(host) && strings.Trim(host, "0123456789.") != ""
}

// valueWords of a server line have a value behind them; those that fields stand for are read, all others are passed through.
func readServer(l *line) (s server, ok bool) {
	if len(l.words) < 3 {
		return s, false
	}
	s.name = l.word(1)
	s.address, s.port, ok = serverAddress(l.word(2))
	if !ok || !serverName.MatchString(s.name) {
		return s, false
	}
	var rest []string
	keep := func(i, n int) {
		for j := i; j < i+n && j < len(l.tokens); j++ {
			rest = append(rest, l.raw[l.tokens[j].start:l.tokens[j].end])
		}
	}
	for i := 3; i < len(l.words); i++ {
		next := l.word(i + 1)
		n, err := strconv.Atoi(next)
		switch w := l.words[i]; {
		case w == "check":
			s.check = true
		case w == "backup":
			s.backup = true
		case w == "ssl":
			s.ssl = true
		case w == "send-proxy" && s.sendProxy == "":
			s.sendProxy = "v1"
		case w == "send-proxy-v2" && s.sendProxy == "":
			s.sendProxy = "v2"
		case w == "weight" && err == nil && n >= 0 && n <= 256:
			s.weight = &n
			i++
		case w == "maxconn" && err == nil && n > 0:
			s.maxconn = n
			i++
		case w == "cookie" && cookieName.MatchString(next):
			s.cookie = next
			i++
		case w == "inter":
			s.inter = next
			i++
		case w == "rise":
			s.rise = next
			i++
		case w == "fall":
			s.fall = next
			i++
		case w == "port" && err == nil:
			s.checkPort = next
			i++
		case w == "verify":
			s.verify = next
			i++
		case w == "ca-file":
			s.ca = next
			i++
		case w == "crt":
			s.crt = next
			i++
		case w == "alpn":
			s.alpn = next
			i++
		default:
			keep(i, 1)
			if twoWords[w] {
				keep(i+1, 1)
				i++
			}
		}
	}
	s.lines = strings.Join(rest, " ")
	s.tlsWords()
	return s, true
}

// twoWords are words of a server line that have a value, which could look like another word.
var twoWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`addr agent-addr agent-check-port agent-inter agent-port agent-send check-alpn check-proto check-sni ciphers ciphersuites
		crl-file downinter error-limit fastinter force id init-addr init-state log-proto max-reuse maxqueue minconn namespace npn observe on-error on-marked-down
		on-marked-up pool-low-conn pool-max-conn pool-purge-delay proto redir resolve-opts resolve-prefer resolve-net resolvers proxy-v2-options slowstart sni
		source socks4 ssl-max-ver ssl-min-ver tcp-ut track usesrc verifyhost ws shard`) {
		m[w] = true
	}
	return m
}()

// tlsWords moves what the field tls cannot have to the lines.
func (s *server) tlsWords() {
	verify := s.verify
	switch {
	case !s.ssl:
	case verify == "none" && s.ca == "":
		verify = "none"
	case (verify == "required" || verify == "") && nodePath.MatchString(s.ca):
		verify = s.ca
	default:
		verify = "?"
	}
	if s.ssl && verify != "?" && (s.crt == "" || nodePath.MatchString(s.crt)) {
		s.verify, s.ca = verify, ""
		return
	}
	var words []string
	if s.ssl {
		words = append(words, "ssl")
	}
	for _, w := range []struct{ key, value string }{{"verify", s.verify}, {"ca-file", s.ca}, {"crt", s.crt}, {"alpn", s.alpn}} {
		if w.value != "" {
			words = append(words, w.key, quoteWord(w.value))
		}
	}
	s.ssl, s.verify, s.ca, s.crt, s.alpn = false, "", "", "", ""
	s.lines = strings.TrimSpace(strings.Join(words, " ") + " " + s.lines)
}

// write returns a server as the spec has it.
func (s *server) write(sticky bool, above []string) mapping {
	m := newMapping().flow()
	m.set("name", s.name)
	m.set("address", s.address)
	if s.port != 0 {
		m.set("port", s.port)
	}
	if s.weight != nil {
		m.set("weight", *s.weight)
	}
	if s.backup {
		m.set("backup", true)
	}
	if s.maxconn != 0 {
		m.set("maxconn", s.maxconn)
	}
	m.set("send_proxy", s.sendProxy)
	if s.ssl {
		tls := newMapping().flow()
		tls.set("verify", s.verify)
		tls.set("certificate", s.crt)
		if s.alpn != "" {
			tls.set("alpn", strings.Split(s.alpn, ","))
		}
		m.set("tls", tls)
	}
	if sticky && s.cookie != s.name {
		m.set("cookie", s.cookie)
	}
	m.set("lines", s.lines)
	if len(above) > 0 {
		m.HeadComment = strings.Join(above, "\n")
	}
	return m
}

// add puts words at the end of the lines of a server.
func (s *server) add(words ...string) {
	s.lines = strings.TrimSpace(s.lines + " " + strings.Join(words, " "))
}

// defaultServer returns the words for every server that are in force, and takes those that fields stand for from the lines.
func (im *importer) defaultServer(p *section, lines *[]line) server {
	var d server
	own := take(lines, beginsWith("default-server"))
	var all []line
	for _, l := range p.inherited() {
		if l.words[0] == "default-server" {
			all = append(all, l)
		}
	}
	inherited := len(all)
	for i, l := range append(all, own...) {
		head := newLine(l.file, l.number, "server x 127.0.0.1 "+l.from(1))
		s, _ := readServer(&head)
		d.inter, d.rise, d.fall = or(s.inter, d.inter), or(s.rise, d.rise), or(s.fall, d.fall)
		d.checkPort = or(s.checkPort, d.checkPort)
		d.check = d.check || s.check
		if i < inherited && im.main != nil {
			continue // the rest is in haproxy.defaults
		}
		if rest := s.wordsBut(); rest != "" {
			r := newLine(l.file, l.number, "default-server "+rest)
			r.above, r.comment = l.above, l.comment
			*lines = append(*lines, r)
		}
	}
	return d
}

// wordsBut are the words of a default-server line that no field of a check stands for.
func (s *server) wordsBut() string {
	var words []string
	add := func(cond bool, w ...string) {
		if cond {
			words = append(words, w...)
		}
	}
	add(s.backup, "backup")
	add(s.ssl, "ssl")
	switch {
	case s.ssl && s.verify == "none":
		add(true, "verify", "none")
	case s.ssl && s.verify != "":
		add(true, "verify", "required", "ca-file", s.verify)
	}
	add(s.crt != "", "crt", s.crt)
	add(s.alpn != "", "alpn", s.alpn)
	add(s.sendProxy == "v1", "send-proxy")
	add(s.sendProxy == "v2", "send-proxy-v2")
	if s.weight != nil {
		add(true, "weight", strconv.Itoa(*s.weight))
	}
	add(s.maxconn != 0, "maxconn", strconv.Itoa(s.maxconn))
	add(s.cookie != "", "cookie", s.cookie)
	add(s.lines != "", s.lines)
	return strings.Join(words, " ")
}

// inheritedServerWords are the default-server lines of the defaults section, if they are not in haproxy.defaults.
func (im *importer) inheritedServerWords(p *section) []line {
	inherited := p.inherited()
	if im.main != nil {
		return nil
	}
	return take(&inherited, beginsWith("default-server"))
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
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
