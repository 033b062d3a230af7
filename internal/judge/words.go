package judge

import (
	"slices"
	"strings"
)

// word is a word of a configuration line, with its position.
type word struct {
	text       string // without quotes and escapes
	start, end int    // in bytes of the line, including quotes
}

// cutHAProxy splits a line of haproxy.cfg into words (configuration.txt, "2.2. Quoting and escaping").
func cutHAProxy(line string) []word {
	var out []word
	var text strings.Builder
	start, quote := -1, byte(0)
	flush := func(end int) {
		if start >= 0 {
			out = append(out, word{text.String(), start, end})
		}
		text.Reset()
		start = -1
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		if quote == 0 && (c == ' ' || c == '\t' || c == '\r') {
			flush(i)
			continue
		}
		if quote == 0 && c == '#' {
			flush(i)
			return out
		}
		if start < 0 {
			start = i
		}
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			text.WriteByte(line[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		default:
			text.WriteByte(c)
		}
	}
	flush(len(line))
	return out
}

// cutKeepalived splits a line of keepalived.conf into words. A comment begins with # or !, quotes keep spaces, and a brace is a
// separate word.
func cutKeepalived(line string) []word {
	var out []word
	var text strings.Builder
	start, quoted := -1, false
	flush := func(end int) {
		if start >= 0 {
			out = append(out, word{text.String(), start, end})
		}
		text.Reset()
		start = -1
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoted && c != '"':
			text.WriteByte(c)
		case c == '"':
			if start < 0 {
				start = i
			}
			quoted = !quoted
		case (c == '#' || c == '!') && start < 0:
			return out
		case c == '{' || c == '}':
			flush(i)
			out = append(out, word{string(c), i, i + 1})
		case c == ' ' || c == '\t' || c == '\r':
			flush(i)
		default:
			if start < 0 {
				start = i
			}
			text.WriteByte(c)
		}
	}
	flush(len(line))
	return out
}

// edit replaces bytes of a line.
type edit struct {
	start, end int
	text       string
}

// edits are changes to a line.
type edits []edit

func (e *edits) replace(w word, text string) { *e = append(*e, edit{w.start, w.end, text}) }

// apply changes the line. If edits overlap, the one that begins first applies, or that was added first.
func (e edits) apply(line string) string {
	slices.SortStableFunc(e, func(a, b edit) int { return a.start - b.start })
	var out strings.Builder
	done := 0
	for _, x := range e {
		if x.start < done {
			continue
		}
		out.WriteString(line[done:x.start])
		out.WriteString(x.text)
		done = x.end
	}
	out.WriteString(line[done:])
	return out.String()
}
