package strictyaml

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// secretWord is what the key of a value that is not for showing holds, also misspelt.
const secretWord = `(?i:pass|pasw|psswo|secret|token|private_?key|psk)`

var (
	secretKey = regexp.MustCompile(secretWord)
	// secretLine finds such a key in a line.
	secretLine = regexp.MustCompile(`[\w-]*` + secretWord + `[\w-]*["']?\s*:(?:\s+|$)`)
	// reference is what may be shown of a secret: where it is.
	reference = regexp.MustCompile(`^\{\s*(?:file|env)\s*:\s*[^\s,{}]+\s*\}`)
)

// source is the line of a place as a problem shows it: without secrets, and not endless.
func (d *Document) source(p place) string {
	if p.line < 1 || p.line > len(d.lines) {
		return ""
	}
	whole := strings.TrimRight(d.lines[p.line-1], "\r")
	if d.belowSecret(p.line - 1) {
		return cut(indentOf(whole), maxSource) + "***"
	}
	line := cut(whole, maxSource)
	if line != whole && p.column > maxSource {
		return ""
	}
	masked := maskLine(line)
	if from, ok := d.masked[p.line]; ok {
		masked = maskFrom(masked, from)
	}
	if masked == line && line != whole {
		masked += "…"
	}
	return masked
}

// cut is at most the first n characters of a text.
func cut(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// maskFrom replaces what stands at a column and after it.
func maskFrom(line string, column int) string {
	if kept := cut(line, column-1); kept != line {
		return kept + "***"
	}
	return line
}

// maskLine replaces what follows a secret's key.
func maskLine(line string) string {
	from := literalSecret(line)
	if from < 0 || strings.TrimSpace(line[from:]) == "" {
		return line
	}
	return line[:from] + "***"
}

// literalSecret is where in a line the value of a secret's key begins that is no reference; -1 where there is none.
func literalSecret(line string) int {
	for from := 0; ; {
		m := secretLine.FindStringIndex(line[from:])
		if m == nil {
			return -1
		}
		from += m[1]
		ref := reference.FindString(line[from:])
		if ref == "" {
			return from
		}
		from += len(ref)
	}
}

// belowSecret tells whether a line belongs to the value of a secret's key that stands on an earlier line, since it is
// indented deeper.
func (d *Document) belowSecret(i int) bool {
	depth := len(indentOf(d.lines[i]))
	for i--; i >= 0 && depth > 0; i-- {
		line := d.lines[i]
		if strings.TrimSpace(line) == "" {
			continue
		}
		if in := len(indentOf(line)); in < depth {
			depth = in
			if len(line) > maxLine || literalSecret(line) >= 0 {
				return true
			}
		}
	}
	return false
}

func indentOf(line string) string {
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// mask remembers where literal values of secret keys stand, however the key is spelled in the file.
func (d *Document) mask(y *yaml.Node, depth int) {
	if depth > maxDepth {
		return
	}
	for i, c := range y.Content {
		if y.Kind == yaml.MappingNode && i%2 == 1 && secretKey.MatchString(y.Content[i-1].Value) && !isReference(c) {
			d.maskValue(c)
			continue
		}
		d.mask(c, depth+1)
	}
}

// maskValue hides the rest of the line on which a value begins.
func (d *Document) maskValue(y *yaml.Node) {
	if from, ok := d.masked[y.Line]; !ok || y.Column < from {
		d.masked[y.Line] = y.Column
	}
}

// isReference tells whether a value only says where a secret is.
func isReference(y *yaml.Node) bool {
	return y.Kind == yaml.MappingNode && len(y.Content) == 2 && (y.Content[0].Value == "file" || y.Content[0].Value == "env")
}
