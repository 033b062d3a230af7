package adopt

import (
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// token is a word of a line of haproxy.cfg, and where it is in the line.
type token struct {
	text       string // without quotes and escapes; \n, \r, \t and \xHH are the bytes
	start, end int
}

// cut cuts a line of haproxy.cfg into its words (configuration.txt, "2.2. Quoting and escaping") and its comment, which
// includes the "#".
func cut(line string) (tokens []token, comment string) {
	var word strings.Builder
	start, quote := -1, byte(0)
	begin := func(i int) {
		if start < 0 {
			start = i
		}
	}
	flush := func(i int) {
		if start >= 0 {
			tokens = append(tokens, token{word.String(), start, i})
		}
		word.Reset()
		start = -1
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'':
			begin(i)
			text, n := unescape(line[i:])
			word.WriteString(text)
			i += n - 1
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			begin(i)
			quote = c
		case quote == 0 && c == '#':
			flush(i)
			return tokens, strings.TrimSpace(line[i:])
		case quote == 0 && (c == ' ' || c == '\t'):
			flush(i)
		default:
			begin(i)
			word.WriteByte(c)
		}
	}
	flush(len(line))
	return tokens, ""
}

// unescape returns what an escape at the beginning of a text is, and its length.
func unescape(s string) (string, int) {
	if len(s) < 2 {
		return s, len(s)
	}
	switch s[1] {
	case 'n':
		return "\n", 2
	case 'r':
		return "\r", 2
	case 't':
		return "\t", 2
	case 'x':
		if len(s) >= 4 {
			high, low := strings.IndexByte(hexDigits, lower(s[2])), strings.IndexByte(hexDigits, lower(s[3]))
			if high >= 0 && low >= 0 {
				return string([]byte{byte(high<<4 | low)}), 4
			}
		}
		return s[:2], 2
	case ' ', '#', '\\', '\'', '"', '$':
		return s[1:2], 2
	}
	return s[:2], 2 // of a regular expression
}

const hexDigits = "0123456789abcdef"

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// line is a line of haproxy.cfg.
type line struct {
	file   string
	number int    // from 1
	raw    string // without the comment
	words  []string
	tokens []token
	// comment follows the words. above are the lines of comments before it.
	comment string
	above   []string
}

// is reports whether a line begins with words.
func (l *line) is(words ...string) bool {
	if len(l.words) < len(words) {
		return false
	}
	for i, w := range words {
		if l.words[i] != w {
			return false
		}
	}
	return true
}

// from returns the text of the line from a word on.
func (l *line) from(word int) string {
	if word >= len(l.tokens) {
		return ""
	}
	return strings.TrimSpace(l.raw[l.tokens[word].start:])
}

// word returns a word, or "".
func (l *line) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

// section is a section of haproxy.cfg.
type section struct {
	kind, name string
	from       string // of "from NAME": the defaults section
	head       line
	lines      []line
	below      []string // comments after the last line
	defaults   *section // that it inherits from; nil: none
}

// parse reads a haproxy.cfg. It takes LF and CRLF, tabs and blanks.
func parse(file, text string) []*section {
	var all []*section
	var current, defaults *section
	var above []string
	n := 0
	for raw := range strings.Lines(text) {
		n++
		raw = strings.TrimRight(raw, "\r\n \t")
		tokens, comment := cut(raw)
		if len(tokens) == 0 {
			if comment != "" {
				above = append(above, comment)
			}
			continue
		}
		l := newLine(file, n, raw)
		l.above, above = above, nil
		if syntax.IsSection(l.words[0]) {
			current = newSection(l)
			switch current.kind {
			case "defaults":
				current.defaults = named(all, current.from)
				defaults = current
			case "frontend", "backend", "listen":
				if current.defaults = named(all, current.from); current.defaults == nil {
					current.defaults = defaults
				}
			}
			all = append(all, current)
			continue
		}
		if current == nil {
			current = &section{head: l}
			all = append(all, current)
		}
		current.lines = append(current.lines, l)
	}
	if current != nil {
		current.below = above
	}
	return all
}

func newLine(file string, number int, raw string) line {
	tokens, comment := cut(raw)
	l := line{file: file, number: number, tokens: tokens, comment: comment, raw: raw}
	for _, t := range tokens {
		l.words = append(l.words, t.text)
	}
	if comment != "" && len(tokens) > 0 {
		l.raw = strings.TrimRight(raw[:tokens[len(tokens)-1].end], " \t")
	}
	l.raw = strings.TrimRight(l.raw, " \t")
	return l
}

func newSection(l line) *section {
	s := &section{kind: l.words[0], name: l.word(1), head: l}
	for i := 1; i+1 < len(l.words); i++ {
		if l.words[i] == "from" && (s.kind != "defaults" || i < 3) {
			s.from = l.words[i+1]
		}
	}
	if s.kind == "defaults" && s.name == "from" {
		s.name = ""
	}
	return s
}

// named returns the last defaults section with a name.
func named(all []*section, name string) *section {
	for i := len(all) - 1; i >= 0 && name != ""; i-- {
		if all[i].kind == "defaults" && all[i].name == name {
			return all[i]
		}
	}
	return nil
}

// inherited returns the lines of the defaults sections of a section, the farthest first.
func (s *section) inherited() []line {
	if s.defaults == nil {
		return nil
	}
	return append(s.defaults.inherited(), s.defaults.lines...)
}
