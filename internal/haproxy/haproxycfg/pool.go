package haproxycfg

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/spec"
)

// pool writes the lines about servers.
func (l *layout) pool(p *spec.Pool) {
	if len(p.Servers) > 0 || p.Balance != "roundrobin" {
		l.line("balance", "balance", l.words(p.Balance))
	}
	l.timeouts(&p.Timeouts, false)
	l.sticky(p.Sticky)
	if p.Checks() && p.Check != nil {
		l.check(p, p.Check)
	}
	if words := l.tail(p.ServerLines); words != "" {
		l.line("lines.server", "default-server", words)
	}
	l.text(p.LinesKey, p.Lines)
	for i := range p.Servers {
		l.server(p, i)
	}
}

func (l *layout) sticky(s *spec.Sticky) {
	switch {
	case s == nil:
	case s.Cookie != "":
		options := s.Options
		if options == "" {
			options = "insert indirect nocache"
		}
		l.line("sticky", "cookie", l.word(s.Cookie), l.words(options))
	default:
		size := s.Size
		if size == "" {
			size = "100k"
		}
		l.line("sticky", "stick-table type", l.table, "size", l.word(size), "expire", span(s.Source), "peers", spec.PeersName)
		l.line("sticky", "stick on src")
	}
}

func (l *layout) server(p *spec.Pool, i int) {
	s := &p.Servers[i]
	words := []string{"server", l.word(s.Name), l.word(s.String())}
	add := func(more ...string) { words = append(words, more...) }
	if p.Checks() {
		add("check")
	}
	if s.Weight != nil {
		add("weight", strconv.Itoa(*s.Weight))
	}
	if s.Backup {
		add("backup")
	}
	if s.MaxConn != 0 {
		add("maxconn", strconv.Itoa(s.MaxConn))
	}
	switch s.SendProxy {
	case "v1":
		add("send-proxy")
	case "v2":
		add("send-proxy-v2")
	}
	if s.TLS != nil {
		add(l.serverTLS(p, s.TLS)...)
	}
	if p.Sticky != nil && p.Sticky.Cookie != "" {
		value := s.Cookie
		if value == "" {
			value = s.Name
		}
		add("cookie", l.word(value))
	}
	if s.Address.Name != "" {
		add("resolvers hapair init-addr last,libc,none")
	}
	on := fmt.Sprintf("servers[%d]", i)
	if text := l.tail(s.Lines); text != "" {
		add(text)
		on += ".lines"
	}
	l.line(on, words...)
}

func (l *layout) serverTLS(p *spec.Pool, t *spec.ServerTLS) []string {
	words := append([]string{"ssl"}, l.verify(t.Verify)...)
	if t.SNI != "" {
		words = append(words, "sni", "str("+l.word(t.SNI)+")")
		if p.Checks() && (p.Check == nil || p.Check.TLS == nil || p.Check.TLS.SNI == "") {
			words = append(words, "check-sni", t.SNI)
		}
	}
	if t.Certificate != "" {
		words = append(words, "crt", l.word(t.Certificate))
	}
	if len(t.ALPN) > 0 {
		words = append(words, "alpn", l.word(strings.Join(t.ALPN, ",")))
	}
	return words
}

func (l *layout) verify(by string) []string {
	if by == "none" || by == "" {
		return []string{"verify", "none"}
	}
	return []string{"verify", "required", "ca-file", l.word(by)}
}
