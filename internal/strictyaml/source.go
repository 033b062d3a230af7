package strictyaml

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/lazyregexp"
	"github.com/hapair/hapair/internal/redact"
)

// hidden has patterns for the keys of a document's type whose values are hidden.
type hidden struct {
	raw  *regexp.Regexp // text that is passed through: fields tagged strictyaml:"raw"
	free *regexp.Regexp // mappings with any content, and those with a secret: hidden if the file is not YAML
}

// hiddenIn returns the patterns for a type.
func hiddenIn(t reflect.Type) hidden {
	raw, free := map[string]bool{}, map[string]bool{}
	findHidden(t, raw, free, map[reflect.Type]bool{})
	return hidden{keyPattern(raw), keyPattern(free)}
}

func findHidden(t reflect.Type, raw, free map[string]bool, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	names, fields := fieldsOf(t)
	for _, name := range names {
		f := fields[name]
		raw[name] = raw[name] || tagged(f, "raw")
		free[name] = free[name] || f.Type.Kind() == reflect.Map || holdsSecret(f.Type)
		findHidden(f.Type, raw, free, seen)
	}
}

// keyPattern matches one of the names as a key, up to its value; nil if there are no names.
func keyPattern(names map[string]bool) *regexp.Regexp {
	var list []string
	for name, is := range names {
		if is {
			list = append(list, regexp.QuoteMeta(name))
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return regexp.MustCompile(`(?:^|[\s{,"'-])(?:` + strings.Join(list, "|") + `)["']?\s*:(?:\s+|$)`)
}

// tagged reports whether the strictyaml tag of a field has an option.
func tagged(f reflect.StructField, option string) bool {
	return slices.Contains(strings.Split(f.Tag.Get("strictyaml"), ","), option)
}

// holdsSecret reports whether a struct has a field for a secret.
func holdsSecret(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	_, fields := fieldsOf(t)
	for _, f := range fields {
		if tagged(f, "secret") {
			return true
		}
	}
	return false
}

// source returns the line of a place for a problem: without secrets and without text that is passed through.
func (d *Document) source(p place) string {
	if p.line < 1 || p.line > len(d.lines) {
		return ""
	}
	whole := strings.TrimRight(d.lines[p.line-1], "\r")
	if d.below(p.line-1, d.secretOrRaw) {
		return redact.First(indentOf(whole), maxSource) + redact.Mask
	}
	if d.tree == nil && d.below(p.line-1, func(line string) bool { return matches(d.hidden.free, line) }) {
		return redact.First(keyOf().FindString(whole), maxSource) + redact.Mask
	}
	line := redact.First(whole, maxSource)
	if line != whole && p.column > maxSource {
		return ""
	}
	masked := redact.YAMLLine(line)
	if from, ok := d.masked[p.line]; ok {
		masked = redact.From(masked, from)
	}
	if d.tree == nil { // the beginnings of values are not known
		for _, key := range []*regexp.Regexp{d.hidden.raw, d.hidden.free, maybeSecretLine()} {
			if from := hiddenValue(masked, key); from >= 0 {
				masked = masked[:from] + redact.Mask
			}
		}
	}
	if masked == line && line != whole {
		masked += "…"
	}
	return masked
}

// hiddenValue returns the offset of the value of such a key in a line, or -1 if the line has none. The mark of a block that
// begins on the next line is not a value.
func hiddenValue(line string, key *regexp.Regexp) int {
	if key == nil {
		return -1
	}
	m := key.FindStringIndex(line)
	if m == nil || blockMark().MatchString(line[m[1]:]) {
		return -1
	}
	return m[1]
}

// maybeSecretLine matches a key of maybeSecret, up to its value.
var maybeSecretLine = lazyregexp.New(`(?i:[\w-]*(?:auth|cred|login|pw)[\w-]*)["']?\s*:(?:\s+|$)`)

var blockMark = lazyregexp.New(`^(?:[|>][0-9+-]*)?\s*$`)

// keyOf matches the indentation of a line, and its key if it looks like one.
var keyOf = lazyregexp.New(`^[ \t]*(?:[a-z_]+:[ \t]+)?`)

// below reports whether a line belongs to a hidden value of a key on an earlier line, because it is indented more.
func (d *Document) below(i int, isHidden func(line string) bool) bool {
	depth := len(indentOf(d.lines[i]))
	for i--; i >= 0 && depth > 0; i-- {
		line := d.lines[i]
		if strings.TrimSpace(line) == "" {
			continue
		}
		if in := len(indentOf(line)); in < depth {
			depth = in
			if isHidden(line) {
				return true
			}
		}
	}
	return false
}

// secretOrRaw reports whether a line has the key of a secret or of text that is passed through. A very long line counts as one.
func (d *Document) secretOrRaw(line string) bool {
	return len(line) > maxLine || redact.YAMLSecret(line) >= 0 || matches(d.hidden.raw, line)
}

func matches(key *regexp.Regexp, line string) bool { return key != nil && key.MatchString(line) }

func indentOf(line string) string {
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// mask stores the places of literal values of secrets and of text that is passed through, even if their keys are misspelt.
func (d *Document) mask(y *yaml.Node, depth int) {
	if depth > maxDepth {
		return
	}
	for i, c := range y.Content {
		if y.Kind == yaml.MappingNode && i%2 == 1 {
			const block = yaml.LiteralStyle | yaml.FoldedStyle
			switch key := y.Content[i-1].Value; {
			case redact.Key(key) && !isReference(c):
				d.maskValue(c)
				continue
			case matches(d.hidden.raw, key+": ") && c.Style&block == 0:
				d.maskAll(c, depth)
				continue
			}
		}
		d.mask(c, depth+1)
	}
}

// maskAll hides all scalars in a value.
func (d *Document) maskAll(y *yaml.Node, depth int) {
	if y.Kind != yaml.MappingNode && y.Kind != yaml.SequenceNode {
		d.maskValue(y)
		return
	}
	if depth > maxDepth {
		return
	}
	for i, c := range y.Content {
		if y.Kind != yaml.MappingNode || i%2 == 1 {
			d.maskAll(c, depth+1)
		}
	}
}

// maskValue hides the line from the beginning of a value.
func (d *Document) maskValue(y *yaml.Node) {
	if from, ok := d.masked[y.Line]; !ok || y.Column < from {
		d.masked[y.Line] = y.Column
	}
}

// Hide hides the value at a path in all output.
func (d *Document) Hide(path string) {
	if d == nil {
		return
	}
	if p, ok := d.places[path]; ok {
		d.maskValue(&yaml.Node{Line: p.line, Column: p.column})
	}
}

// isReference reports whether a value only refers to a secret.
func isReference(y *yaml.Node) bool {
	return y.Kind == yaml.MappingNode && len(y.Content) == 2 && (y.Content[0].Value == "file" ||
		y.Content[0].Value == "env" && variable().MatchString(y.Content[1].Value))
}

var variable = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
