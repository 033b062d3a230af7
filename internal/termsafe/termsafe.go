// Package termsafe makes text from outside safe to print. Text from a node, a daemon or a file name must not control the
// operator's terminal, and must not look like a line of the program itself.
package termsafe

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLine is the maximum number of bytes that Line returns.
const MaxLine = 2000

// Line returns text as one line. It replaces every invisible character, such as a line break, an escape, a C1 control or a
// bidirectional override, by its escape sequence (\n, \u001b, \u202e), and a tab by a blank. It cuts text that is longer
// than MaxLine.
func Line(text string) string {
	cut := len(text) > MaxLine
	if cut {
		text = strings.ToValidUTF8(text[:MaxLine], "")
	}
	text = escape(text, false)
	if cut {
		text += " …"
	}
	return text
}

// Text is like Line, but keeps tabs and line breaks, indents every line except the first, and does not cut. It is for
// messages that may have several lines: with the indentation, a line from outside cannot look like the beginning of another
// message.
func Text(text string) string {
	return strings.ReplaceAll(escape(strings.TrimRight(text, "\n"), true), "\n", "\n  ")
}

// Writer returns a writer that replaces the same characters as Line, except tabs and line breaks. The escape sequences have
// the same meaning inside a JSON string, so JSON keeps its meaning.
func Writer(w io.Writer) io.Writer { return &writer{w: w} }

type writer struct {
	w    io.Writer
	rest []byte // the beginning of a character whose other bytes were not written yet
}

func (w *writer) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	n := len(text) - incomplete(text)
	w.rest = append([]byte(nil), text[n:]...)
	if _, err := io.WriteString(w.w, escape(string(text[:n]), true)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// incomplete returns how many bytes at the end of b are the beginning of a longer character.
func incomplete(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return i
		}
	}
	return 0
}

func escape(text string, layout bool) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !visible(r, layout) }) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case visible(r, layout):
			b.WriteRune(r) // U+FFFD for a byte that is not valid UTF-8
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteByte(' ')
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default: // as in JSON
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		}
	}
	return b.String()
}

// visible reports whether a character may be printed unchanged. If layout is true, tabs and line breaks may be too.
func visible(r rune, layout bool) bool {
	return layout && (r == '\n' || r == '\t') || unicode.IsGraphic(r)
}
