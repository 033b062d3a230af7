// Package yamlmask shows lines of a YAML file without its secrets, for messages about the file.
package yamlmask

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/lazyregexp"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/yamlsyntax"
)

const (
	maxDepth  = 100     // levels of nesting that are searched
	maxSource = 200     // characters of a line that are shown
	maxLine   = 4 << 10 // bytes of a line that are searched for a secret's key
)

// Mask hides values in the lines of a file: those of keys that redact.Key matches, and those that are given to Tree, All and Value.
type Mask struct {
	lines     []string
	raw, free *regexp.Regexp // keys; nil: none
	parsed    bool           // Tree was called
	columns   map[int]int    // line → column from which the line is hidden
}

// New returns a Mask for the lines of a file. It hides the values of the keys in raw, and, if the file cannot be parsed, also those
// of the keys in free.
func New(lines, raw, free []string) *Mask {
	return &Mask{lines: lines, raw: keyPattern(raw), free: keyPattern(free), columns: map[int]int{}}
}

// keyPattern matches one of the names as a key, up to its value; nil if there are no names.
func keyPattern(names []string) *regexp.Regexp {
	if len(names) == 0 {
		return nil
	}
	var list []string
	for _, name := range names {
		list = append(list, regexp.QuoteMeta(name))
	}
	return regexp.MustCompile(`(?:^|[\s{,"'-])(?:` + strings.Join(list, "|") + `)["']?\s*:(?:\s+|$)`)
}

// Line returns a line as it may be shown for an error at a column; "" if the column is too far to the right. Both count from 1.
func (m *Mask) Line(number, column int) string {
	if number < 1 || number > len(m.lines) {
		return ""
	}
	whole := strings.TrimRight(m.lines[number-1], "\r")
	if m.below(number-1, m.secretOrRaw) {
		return redact.First(yamlsyntax.Indentation(whole), maxSource) + redact.Mask
	}
	if !m.parsed && m.below(number-1, func(line string) bool { return matches(m.free, line) }) {
		return redact.First(keyOf().FindString(whole), maxSource) + redact.Mask
	}
	line := redact.First(whole, maxSource)
	if line != whole && column > maxSource {
		return ""
	}
	masked := redact.YAMLLine(line)
	if from, ok := m.columns[number]; ok {
		masked = redact.From(masked, from)
	}
	if !m.parsed { // the beginnings of values are not known
		for _, key := range []*regexp.Regexp{m.raw, m.free, maybeSecret()} {
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

// maybeSecret matches a key that may be a misspelt key of a secret, up to its value.
var maybeSecret = lazyregexp.New(`(?i:[\w-]*(?:auth|cred|login|pw)[\w-]*)["']?\s*:(?:\s+|$)`)

var blockMark = lazyregexp.New(`^(?:[|>][0-9+-]*)?\s*$`)

// keyOf matches the indentation of a line, and its key if it looks like one.
var keyOf = lazyregexp.New(`^[ \t]*(?:[a-z_]+:[ \t]+)?`)

// below reports whether a line belongs to a hidden value of a key on an earlier line, because it is indented more.
func (m *Mask) below(i int, isHidden func(line string) bool) bool {
	depth := len(yamlsyntax.Indentation(m.lines[i]))
	for i--; i >= 0 && depth > 0; i-- {
		line := m.lines[i]
		if strings.TrimSpace(line) == "" {
			continue
		}
		if in := len(yamlsyntax.Indentation(line)); in < depth {
			depth = in
			if isHidden(line) {
				return true
			}
		}
	}
	return false
}

// secretOrRaw reports whether a line has the key of a secret or of text that is passed through. A very long line counts as one.
func (m *Mask) secretOrRaw(line string) bool {
	return len(line) > maxLine || redact.YAMLSecret(line) >= 0 || matches(m.raw, line)
}

func matches(key *regexp.Regexp, line string) bool { return key != nil && key.MatchString(line) }

// Tree hides the literal values of secrets and text that is passed through in the tree of the file, even if their keys are
// misspelt. Without a tree, Line hides more, because the beginnings of values are not known.
func (m *Mask) Tree(root *yaml.Node) {
	m.parsed = true
	m.tree(root, 0)
}

func (m *Mask) tree(y *yaml.Node, depth int) {
	if depth > maxDepth {
		return
	}
	for i, c := range y.Content {
		if y.Kind == yaml.MappingNode && i%2 == 1 {
			const block = yaml.LiteralStyle | yaml.FoldedStyle
			switch key := y.Content[i-1].Value; {
			case redact.Key(key) && !isReference(c):
				m.Value(c.Line, c.Column)
				continue
			case matches(m.raw, key+": ") && c.Style&block == 0:
				m.all(c, depth)
				continue
			}
		}
		m.tree(c, depth+1)
	}
}

// All hides all scalars in a value.
func (m *Mask) All(y *yaml.Node) { m.all(y, 0) }

func (m *Mask) all(y *yaml.Node, depth int) {
	if y.Kind != yaml.MappingNode && y.Kind != yaml.SequenceNode {
		m.Value(y.Line, y.Column)
		return
	}
	if depth > maxDepth {
		return
	}
	for i, c := range y.Content {
		if y.Kind != yaml.MappingNode || i%2 == 1 {
			m.all(c, depth+1)
		}
	}
}

// Value hides the rest of a line from the column on at which a value begins. Both count from 1.
func (m *Mask) Value(line, column int) {
	if from, ok := m.columns[line]; !ok || column < from {
		m.columns[line] = column
	}
}

// isReference reports whether a value only refers to a secret.
func isReference(y *yaml.Node) bool {
	return y.Kind == yaml.MappingNode && len(y.Content) == 2 && (y.Content[0].Value == "file" ||
		y.Content[0].Value == "env" && variable().MatchString(y.Content[1].Value))
}

var variable = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
