package haproxycfg

import (
	"fmt"
	"net/netip"
	"strings"
)

// word returns a value if haproxy's parser reads it as one plain word, and an error otherwise, so that a value of a spec cannot
// begin a comment, a quotation or another line (configuration.txt, "2.2. Quoting and escaping").
func word(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("an empty value is not allowed: haproxy.cfg needs a word")
	}
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`"'\#`, r) {
			return "", fmt.Errorf("%q is not allowed in haproxy.cfg: it contains %q", s, r)
		}
	}
	return s, nil
}

// words is like word, for a value of several plain words, such as the balance algorithm "url_param id".
func words(s string) (string, error) {
	fields := strings.Split(s, " ")
	for _, f := range fields {
		if _, err := word(f); err != nil {
			return "", err
		}
	}
	return s, nil
}

// indent changes the indentation of the lines of a pass-through field to that of the lines around them.
func indent(text string) string {
	text = strings.Trim(text, "\n")
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line = strings.TrimRight(line, " \t\r"); line != "" {
			line = "    " + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

// bind returns the address of a bind line with the options that it needs.
func bind(at netip.AddrPort) string {
	if needsV6Only(at.Addr()) {
		return at.String() + " v6only"
	}
	return at.String()
}

// needsV6Only reports whether the bind line of an address must have the word v6only. The kernel makes a socket that is bound to
// one IPv6 address v6only (IPV6_V6ONLY). In a reload haproxy takes over a listener only if its options equal those of the line:
// without the word it binds a new one each time, and connections that wait in the old one are reset (seen with 3.0).
func needsV6Only(a netip.Addr) bool { return a.Is6() && !a.Is4In6() && !a.IsUnspecified() }
