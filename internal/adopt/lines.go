package adopt

import (
	"regexp"
	"strings"
)

// take removes the lines that match and returns them.
func take(lines *[]line, match func(*line) bool) []line {
	var taken, left []line
	for _, l := range *lines {
		if match(&l) {
			taken = append(taken, l)
		} else {
			left = append(left, l)
		}
	}
	*lines = left
	return taken
}

func isKey(k string) func(*line) bool { return func(l *line) bool { return key(l) == k } }

func beginsWith(words ...string) func(*line) bool {
	return func(l *line) bool { return l.is(words...) }
}

// comments are the comments of lines.
func comments(lines ...line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.above...)
		if l.comment != "" {
			out = append(out, l.comment)
		}
	}
	return out
}

// text writes lines with their comments, as the spec's lines have them.
func text(lines []line) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.above...)
		t := l.tidy()
		if l.comment != "" {
			t += "  " + l.comment
		}
		out = append(out, t)
	}
	return strings.ReplaceAll(strings.Join(out, "\n"), "\t", " ")
}

// tidy writes the line with single blanks between its words.
func (l *line) tidy() string {
	var out []string
	for _, t := range l.tokens {
		out = append(out, l.raw[t.start:t.end])
	}
	return strings.Join(out, " ")
}

// noteLines reports lines that are passed through.
func (im *importer) noteLines(path string, lines []line) {
	for i := range lines {
		im.note(Lines, &lines[i], path, mask(lines[i].tidy()), "")
	}
}

var secretWords = regexp.MustCompile(`(?i)((?:stats\s+auth|send(?:-lf)?\s+["']?auth|auth_pass|\bauthorization|\b[a-z-]*passw(?:or)?d|\b[a-z_-]*token|\b[a-z_-]*secret|x-api-key)["']?(?:[\s:=]|\\ )+["']?(?:basic(?:\s|\\ )+|bearer(?:\s|\\ )+)?)([^\s"']+)`)

// mask hides what may be a secret in a line of the report.
func mask(s string) string { return secretWords.ReplaceAllString(strings.TrimSpace(s), "${1}(secret)") }

func commentOf(l line) []string {
	if l.comment == "" {
		return nil
	}
	return []string{l.comment}
}

// block2 makes a text a block of lines.
func block2(s string) string {
	if s == "" {
		return ""
	}
	return s + "\n"
}
