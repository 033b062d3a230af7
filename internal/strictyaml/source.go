package strictyaml

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// secretKey finds keys whose values are not for showing.
var secretKey = regexp.MustCompile(`(?i)(passw|passphrase|secret|token|private_?key|auth_pass)`)

// secretValue finds such a key in a line with what follows it. What refers to a secret may be shown.
var (
	secretValue = regexp.MustCompile(`(?i)[\w-]*(?:passw|passphrase|secret|token|private_?key|auth_pass)[\w-]*["']?\s*:(\s+|$)`)
	reference   = regexp.MustCompile(`^\{\s*(?:file|env)\s*:\s*[^\s,{}]+\s*\}`)
)

// source is the line of a place as a problem shows it: without secrets, and not endless.
func (d *Document) source(p place) string {
	if p.line < 1 || p.line > len(d.lines) {
		return ""
	}
	line := strings.TrimRight(d.lines[p.line-1], "\r")
	if d.belowSecret(p.line - 1) {
		return indentOf(line) + "***"
	}
	line = maskLine(line)
	if from, ok := d.masked[p.line]; ok {
		if r := []rune(line); len(r) >= from {
			line = string(r[:from-1]) + "***"
		}
	}
	if r := []rune(line); len(r) > maxSource {
		if p.column > maxSource {
			return ""
		}
		line = string(r[:maxSource]) + "…"
	}
	return line
}

// maskLine replaces what follows a secret's key.
func maskLine(line string) string {
	for from := 0; ; {
		m := secretValue.FindStringIndex(line[from:])
		if m == nil {
			return line
		}
		from += m[1]
		ref := reference.FindString(line[from:])
		if ref == "" {
			if strings.TrimSpace(line[from:]) == "" {
				return line
			}
			return line[:from] + "***"
		}
		from += len(ref)
	}
}

// belowSecret tells whether a line belongs to the value of a secret's key that stands on an earlier line: a line that
// is indented deeper than one which ends in an unfinished secret.
func (d *Document) belowSecret(i int) bool {
	depth := len(indentOf(d.lines[i]))
	for i--; i >= 0 && depth > 0; i-- {
		line := d.lines[i]
		if strings.TrimSpace(line) == "" {
			continue
		}
		if in := len(indentOf(line)); in < depth {
			depth = in
			if secretValue.MatchString(line) {
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
			if from, ok := d.masked[c.Line]; !ok || c.Column < from {
				d.masked[c.Line] = c.Column
			}
			continue
		}
		d.mask(c, depth+1)
	}
}

// isReference tells whether a value only says where a secret is.
func isReference(y *yaml.Node) bool {
	return y.Kind == yaml.MappingNode && len(y.Content) == 2 && (y.Content[0].Value == "file" || y.Content[0].Value == "env")
}
