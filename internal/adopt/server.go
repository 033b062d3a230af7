package adopt

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

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
		switch w := l.words[i]; {
		case s.takeWord(w):
		case s.takeValue(w, l.word(i+1)):
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

// takeWord takes a word of a server line that stands alone, and reports whether there is a field for it.
func (s *server) takeWord(w string) bool {
	switch {
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
	default:
		return false
	}
	return true
}

// takeValue takes a word of a server line that has a value, and reports whether there is a field for it.
func (s *server) takeValue(w, value string) bool {
	n, err := strconv.Atoi(value)
	texts := map[string]*string{"inter": &s.inter, "rise": &s.rise, "fall": &s.fall, "verify": &s.verify, "ca-file": &s.ca, "crt": &s.crt, "alpn": &s.alpn}
	switch {
	case texts[w] != nil:
		*texts[w] = value
	case w == "weight" && err == nil && n >= 0 && n <= 256:
		s.weight = &n
	case w == "maxconn" && err == nil && n > 0:
		s.maxconn = n
	case w == "cookie" && cookieName.MatchString(value):
		s.cookie = value
	case w == "port" && err == nil:
		s.checkPort = value
	default:
		return false
	}
	return true
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
