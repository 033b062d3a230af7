package haproxycfg

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/spec"
)

// check writes the health check of a pool.
func (l *layout) check(p *spec.Pool, k *spec.Check) {
	switch {
	case k.HTTP != "":
		l.checkHTTP(p, k)
	case len(k.TCP) > 0:
		l.checkTCP(k)
	case k.Protocol != "":
		l.line("check.protocol", "option", l.checkProtocol(k))
	}
	var words []string
	if k.Interval != 0 {
		words = append(words, intervals(k.Interval))
	}
	if k.Fall != 0 {
		words = append(words, "fall", strconv.Itoa(k.Fall))
	}
	if k.Rise != 0 {
		words = append(words, "rise", strconv.Itoa(k.Rise))
	}
	if k.Port != 0 {
		words = append(words, "port", strconv.Itoa(k.Port))
	}
	if k.TLS != nil {
		words = append(words, l.checkTLS(p, k.TLS)...)
	}
	if len(words) > 0 {
		l.line("check", append([]string{"default-server"}, words...)...)
	}
}

// checkHTTP sends the request that a client of the service would send: HTTP/1.1 requires a Host, and clients use the VIP.
func (l *layout) checkHTTP(p *spec.Pool, k *spec.Check) {
	method, uri, _ := strings.Cut(k.HTTP, " ")
	version := k.Version
	if version == "" {
		version = "1.1"
	}
	l.line("check", "option httpchk")
	words := []string{"http-check send meth", l.word(method), "uri", l.word(strings.TrimSpace(uri)), "ver HTTP/" + l.word(version)}
	if host := k.Host; host != "" || version != "1.0" {
		if host == "" {
			host = l.host(p)
		}
		words = append(words, "hdr Host", l.word(host))
	}
	for _, h := range k.Headers {
		words = append(words, "hdr", l.word(h.Name), escape(strings.ReplaceAll(h.Value, "%", "%%"))) // a log-format
	}
	l.line("check.http", words...)
	l.expect(k.Expect)
}

// expect writes the conditions for the answer. All given ones must hold.
func (l *layout) expect(e spec.Expect) {
	status := []string{"200-399"}
	if len(e.Status) > 0 {
		status = nil
		for _, s := range e.Status {
			status = append(status, l.word(string(s)))
		}
	}
	if len(e.Status) > 0 || e.Text == "" && e.Regex == "" {
		l.line("check", "http-check expect status", strings.Join(status, ","))
	}
	if e.Text != "" {
		l.line("check.expect", "http-check expect string", escape(e.Text))
	}
	if e.Regex != "" {
		l.line("check.expect", "http-check expect rstring", escape(e.Regex))
	}
}

// host returns the host that clients of a pool use: the first address of the service that has or uses the pool.
func (l *layout) host(p *spec.Pool) string {
	svc := p.Service
	for i := 0; svc == nil && i < len(l.spec.Services); i++ {
		if l.spec.Services[i].Uses(p.Name) {
			svc = &l.spec.Services[i]
		}
	}
	if svc != nil {
		if endpoints := l.spec.Endpoints(svc); len(endpoints) > 0 {
			return endpoints[0].AddrPort().String()
		}
	}
	return "localhost"
}

func (l *layout) checkTCP(k *spec.Check) {
	l.line("check.tcp", "option tcp-check")
	for i, s := range k.TCP {
		on := fmt.Sprintf("check.tcp[%d]", i)
		switch {
		case s.Send != "":
			l.line(on, "tcp-check send", escape(string(s.SentBytes())))
		case s.SendBinary != "":
			l.line(on, "tcp-check send-binary", l.word(s.SendBinary))
		case s.Expect != "":
			l.line(on, "tcp-check expect string", escape(string(s.ExpectedBytes())))
		case s.ExpectRegex != "":
			l.line(on, "tcp-check expect rstring", escape(s.ExpectRegex))
		case s.ExpectBinary != "":
			l.line(on, "tcp-check expect binary", l.word(s.ExpectBinary))
		}
	}
}

// checkProtocol writes the option for one of haproxy's built-in checks.
// pgsqlUser is the default user of a pgsql check: haproxy requires one, and PostgreSQL answers for any.
const pgsqlUser = "hapair"

func (l *layout) checkProtocol(k *spec.Check) string {
	switch k.Protocol {
	case "mysql":
		if k.User != "" {
			return "mysql-check user " + l.word(k.User)
		}
		return "mysql-check"
	case "pgsql":
		return "pgsql-check user " + l.word(cmp.Or(k.User, pgsqlUser))
	case "smtp":
		if k.Hello != "" {
			return "smtpchk " + l.words(k.Hello)
		}
		return "smtpchk"
	case "ssl":
		return "ssl-hello-chk"
	}
	return l.word(k.Protocol) + "-check"
}

func (l *layout) checkTLS(p *spec.Pool, t *spec.CheckTLS) []string {
	words := []string{"check-ssl"}
	serverHasTLS := false
	for _, s := range p.Servers {
		serverHasTLS = serverHasTLS || s.TLS != nil
	}
	if t.Verify != "" || !serverHasTLS {
		words = append(words, l.verify(t.Verify)...)
	}
	if t.SNI != "" {
		words = append(words, "check-sni", l.word(t.SNI))
	}
	if len(t.ALPN) > 0 {
		words = append(words, "check-alpn", l.word(strings.Join(t.ALPN, ",")))
	}
	return words
}

// escape returns any text as one word (configuration.txt, "2.2. Quoting and escaping").
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case strings.IndexByte(` \#'"`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
