package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CheckProtocols lists the built-in checks of haproxy.
func CheckProtocols() []string { return []string{"mysql", "pgsql", "redis", "smtp", "ldap", "ssl"} }

// checks validates the health check of a pool.
func (c check) checks(p *Pool) {
	k, path := p.Check, p.Path+".check"
	if k == nil || k.Off || c.HasError(path) {
		return
	}
	var kinds []string
	for _, kind := range []string{"http", "tcp", "protocol"} {
		if c.Has(path + "." + kind) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) > 1 {
		c.Problem(path+"."+kinds[1], strings.Join(kinds, " and ")+" are both given", "a check can have only one of them")
	}
	c.checkHTTP(k, path)
	c.expect(k, path+".expect")
	for i, step := range k.TCP {
		c.tcpStep(step, fmt.Sprintf("%s.tcp[%d]", path, i))
	}
	c.checkProtocol(k, path)
	if c.written(path + ".port") {
		c.port(path+".port", k.Port)
	}
	c.checkTimes(path, CheckTimes{k.Interval, k.Rise, k.Fall})
	c.checkTLS(p, path+".tls")
}

// checkHTTP validates the request of a check.
func (c check) checkHTTP(k *Check, path string) {
	if c.written(path + ".http") {
		c.name(path+".http", k.HTTP, checkRule)
	}
	for _, key := range []string{"version", "host", "headers"} {
		if c.written(path+"."+key) && !c.Has(path+".http") {
			c.Problem(path+"."+key, "has no effect without http", "")
		}
	}
	if words := []string{"1.0", "1.1"}; c.written(path+".version") && !slices.Contains(words, k.Version) {
		c.Problem(path+".version", quote(k.Version)+" is not an HTTP version that a check supports", meant(k.Version, words))
	}
	if c.written(path + ".host") {
		c.name(path+".host", k.Host, hostRule)
	}
	for _, h := range k.Headers {
		at := path + ".headers." + h.Name
		switch {
		case !tokenRule.accepts(h.Name):
			c.Problem(path+".headers", quote(h.Name)+" is not a header name", tokenRule.hint)
		case strings.EqualFold(h.Name, "host"):
			c.Problem(at, "is a key of its own", "write it as check.host")
		case !printable(h.Value):
			c.Problem(at, "the value of a header must be one line of printable characters", "")
		}
	}
}

// printable reports whether a text is one line that can be part of a header or a check.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

var statusRange = regexp.MustCompile(`^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$`)

func (c check) expect(k *Check, path string) {
	if !c.Has(path) || c.HasError(path) {
		return
	}
	switch {
	case k.HTTP == "":
		c.Problem(path, "has no effect without http", "")
		return
	case len(k.Expect.Status) == 0 && k.Expect.Text == "" && k.Expect.Regex == "":
		c.Problem(path, "expects nothing", "write expect: 200, expect: [200, 204] or expect: {text: OK}")
		return
	}
	for i, status := range k.Expect.Status {
		p := path
		for _, key := range []string{path, path + ".status"} {
			if c.Has(key) {
				p = c.addressPath(key, i)
			}
		}
		m := statusRange.FindStringSubmatch(string(status))
		if m == nil {
			c.Problem(p, fmt.Sprintf("%s is not an HTTP status", status), "must be 100 to 599")
		} else if m[2] != "" && m[2] < m[1] {
			c.Problem(p, fmt.Sprintf("the range ends with %s, before it begins", m[2]), "write the lower status first")
		}
	}
	for key, text := range map[string]string{".text": k.Expect.Text, ".regex": k.Expect.Regex} {
		if text != "" && !printable(text) {
			c.Problem(path+key, "must be one line of printable characters", "")
		}
	}
}

// FirstStatus returns the first of the statuses that the check expects.
func (k *Check) FirstStatus() int {
	if k == nil || len(k.Expect.Status) == 0 {
		return 200
	}
	low, _, _ := strings.Cut(string(k.Expect.Status[0]), "-")
	status, err := strconv.Atoi(low)
	if err != nil {
		return 200
	}
	return status
}

func (c check) tcpStep(s TCPStep, path string) {
	if c.HasError(path) {
		return
	}
	var given []string
	for _, f := range []struct{ key, value string }{{"send", s.Send}, {"send_binary", s.SendBinary}, {"expect", s.Expect},
		{"expect_regex", s.ExpectRegex}, {"expect_binary", s.ExpectBinary}} {
		if !c.Has(path + "." + f.key) {
			continue
		}
		given = append(given, f.key)
		p := path + "." + f.key
		switch {
		case c.HasError(p):
		case f.value == "":
			c.Problem(p, "is empty", "")
		case strings.HasSuffix(f.key, "_binary"):
			c.name(p, f.value, hexRule)
		case strings.ContainsRune(f.value, 0):
			c.Problem(p, "contains a NUL character", "write it in send_binary or expect_binary")
		}
	}
	if len(given) != 1 {
		c.Problem(path, "a step must have exactly one key", "send, send_binary, expect, expect_regex or expect_binary")
	}
}

func (c check) checkProtocol(k *Check, path string) {
	if c.written(path+".protocol") && !slices.Contains(CheckProtocols(), k.Protocol) {
		c.Problem(path+".protocol", quote(k.Protocol)+" is not a protocol that haproxy can check", meant(k.Protocol, CheckProtocols()))
	}
	if c.written(path + ".user") {
		c.name(path+".user", k.User, accountRule)
		if k.Protocol != "mysql" && k.Protocol != "pgsql" {
			c.Problem(path+".user", "has no effect without protocol: mysql or pgsql", "")
		}
	}
	if c.written(path + ".hello") {
		c.name(path+".hello", k.Hello, helloRule)
		if k.Protocol != "smtp" {
			c.Problem(path+".hello", "has no effect without protocol: smtp", "")
		}
	}
}

// checkTimes validates interval, rise and fall.
func (c check) checkTimes(path string, t CheckTimes) {
	p := path + ".interval"
	if c.written(p) && (t.Interval < time.Millisecond || t.Interval > longest || t.Interval%time.Millisecond != 0) {
		c.Problem(p, fmt.Sprintf("haproxy cannot check every %s", t.Interval), "must be 1ms to 24 days, in whole milliseconds")
	}
	c.atLeast(path+".rise", t.Rise, 1)
	c.atLeast(path+".fall", t.Fall, 1)
}

func (c check) checkTLS(p *Pool, path string) {
	t := p.Check.TLS
	if t == nil || c.HasError(path) {
		return
	}
	if c.written(path + ".verify") {
		c.verify(path+".verify", t.Verify)
		for _, s := range p.Servers {
			if s.TLS != nil && s.TLS.Verify != t.Verify {
				c.Problem(path+".verify", fmt.Sprintf("server %s has another verify: haproxy has one setting for both", quote(s.Name)), "leave it out: the check uses the server's tls")
				break
			}
		}
	}
	if c.written(path + ".sni") {
		c.name(path+".sni", t.SNI, dnsRule)
	}
	c.alpn(path+".alpn", t.ALPN)
}
