// Package syntax splits the lines of a haproxy.cfg into words, and knows the words that begin a section.
package syntax

import (
	"strings"
	"unicode/utf8"
)

// IsSection reports whether a word begins a section of haproxy.cfg.
func IsSection(word string) bool {
	switch word {
	case "global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "cache",
		"program", "http-errors", "ring", "log-forward", "fcgi-app", "crt-store", "traces", "acme", "log-profile":
		return true
	}
	return false
}

// Words returns the words of a line of haproxy.cfg, without quotes, escapes and comment (configuration.txt, "2.2. Quoting and
// escaping"). Variables are not expanded.
func Words(line string) []string {
	if !strings.ContainsAny(line, `\'"`) && utf8.ValidString(line) {
		// Nearly every line: this takes a third of the time.
		line, _, _ = strings.Cut(strings.TrimRight(line, "\r\n"), "#")
		return strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	}
	var out []string
	var word strings.Builder
	quote, has := rune(0), false
	flush := func() {
		if has {
			out = append(out, word.String())
		}
		word.Reset()
		has = false
	}
	escaped := false
	for _, c := range strings.TrimRight(line, "\r\n") {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, has = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, has = c, true
		case quote == 0 && c == '#':
			flush()
			return out
		case quote == 0 && (c == ' ' || c == '\t'):
			flush()
		default:
			word.WriteRune(c)
			has = true
		}
	}
	flush()
	return out
}

// LeadsTo reports whether lines of a configuration send requests to the backend with a name, or to a backend whose name depends
// on the request.
func LeadsTo(lines, backend string) bool {
	for line := range strings.Lines(lines) {
		w := Words(line)
		if len(w) > 1 && (w[0] == "default_backend" || w[0] == "use_backend") &&
			(w[1] == backend || strings.Contains(w[1], "%") || strings.Contains(w[1], "$")) {
			return true
		}
	}
	return false
}
