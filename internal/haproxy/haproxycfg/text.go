package haproxycfg

import (
	"fmt"
	"net/netip"
	"strings"
)

// word lets through what haproxy's parser reads as one plain word, so that no value of a spec can begin a comment, a
// quotation or a line of its own (configuration.txt, "2.2. Quoting and escaping").
func word(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("an empty value stands where haproxy.cfg needs a word")
	}
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`"'\#`, r) {
			return "", fmt.Errorf("%q cannot stand in haproxy.cfg: it holds %q", s, r)
		}
	}
	return s, nil
}

// words is for a value of several plain words, such as the balance algorithm "url_param id".
func words(s string) (string, error) {
	fields := strings.Split(s, " ")
	for _, f := range fields {
		if _, err := word(f); err != nil {
			return "", err
		}
	}
	return s, nil
}

// indent moves the lines of a pass-through field to where the lines around them begin. It changes nothing else.
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

// bind is the address of a bind line with the options that it needs.
func bind(at netip.AddrPort) string {
	if needsV6Only(at.Addr()) {
		return at.String() + " v6only"
	}
	return at.String()
}

// needsV6Only reports whether the bind line of an address must say v6only. The kernel makes a socket that is bound to one
// IPv6 address v6only (IPV6_V6ONLY). At a reload haproxy takes over only listeners whose options are those of the line:
// without the word it binds a new one each time, and connections that wait in the old one are reset (seen with 3.0).
func needsV6Only(a netip.Addr) bool { return a.Is6() && !a.Is4In6() && !a.IsUnspecified() }
