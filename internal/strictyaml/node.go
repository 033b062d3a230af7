package strictyaml

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/redact"
)

// Decoder is a type that decodes itself. It reports problems with n.Problem.
type Decoder interface {
	DecodeYAML(n *Node)
}

// Node is a value of the document, with its path.
type Node struct {
	doc    *Document
	at     *yaml.Node // the node in the file
	y      *yaml.Node // the node with the value: for an alias, that of the anchor
	parent *Node
	key    string // in a mapping
	index  int    // in a list, if key is empty
	depth  int
	raw    bool // its text is hidden
	one    bool // a list may be written as a single value
}

// Path returns the path of the value: services[1].port.
func (n *Node) Path() string {
	switch {
	case n == nil || n.parent == nil:
		return ""
	case n.key == "":
		return fmt.Sprintf("%s[%d]", n.parent.Path(), n.index)
	}
	return join(n.parent.Path(), n.key)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// IsMapping reports whether the value is a mapping.
func (n *Node) IsMapping() bool { return n != nil && n.y.Kind == yaml.MappingNode }

// Text returns a scalar as it is written; false if the value is missing, a list or a mapping.
func (n *Node) Text() (string, bool) {
	if n == nil || n.y.Kind != yaml.ScalarNode || n.y.Tag == "!!null" {
		return "", false
	}
	return n.y.Value, true
}

// Keys returns the keys of a mapping, in order.
func (n *Node) Keys() []string {
	var keys []string
	if n.IsMapping() {
		for i := 0; i+1 < len(n.y.Content); i += 2 {
			keys = append(keys, n.y.Content[i].Value)
		}
	}
	return keys
}

// Problem adds an error about the value.
func (n *Node) Problem(message, hint string) {
	if n != nil {
		n.doc.at(diag.Error, placeOf(n.at), n.Path(), message, hint)
	}
}

// placeOf returns the place of a node. yaml.v3 counts columns in characters.
func placeOf(y *yaml.Node) place { return place{max(y.Line, 1), max(y.Column, 1)} }

// wrongType reports that the value does not have the type of its key.
func (n *Node) wrongType(want, hint string) {
	n.Problem(fmt.Sprintf("must be %s, not %s", want, n.kind()), hint)
}

// kind describes the value in a message. A secret is not quoted.
func (n *Node) kind() string {
	switch n.y.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	name := map[string]string{"!!int": "the number", "!!float": "the number", "!!bool": "the truth value",
		"!!timestamp": "the date"}[n.y.Tag]
	switch {
	case n.y.Tag == "!!null":
		return "nothing"
	case n.secret() || n.raw:
		return "a literal value"
	case name == "":
		return Quote(n.y.Value)
	}
	return name + " " + shorten(n.y.Value)
}

// secret reports whether the key of the value, or of a parent, is the key of a secret.
func (n *Node) secret() bool {
	for ; n != nil; n = n.parent {
		if redact.Key(n.key) {
			return true
		}
	}
	return false
}

// Quote quotes a value for a message, and shortens it.
func Quote(s string) string { return fmt.Sprintf("%q", shorten(s)) }

func shorten(s string) string { return redact.Cut(s, maxQuote) }

// plural returns a count with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// child returns a value inside n.
func (n *Node) child(y *yaml.Node, key string, index int) *Node {
	c := &Node{doc: n.doc, at: y, y: y, parent: n, key: key, index: index, depth: n.depth + 1}
	c.resolve()
	return c
}

// resolve returns the anchor of an alias, or the node itself.
func (n *Node) resolve() {
	if n.y.Kind == yaml.AliasNode && n.y.Alias != nil {
		n.y = n.y.Alias
	}
}

// enter counts a value against the limits, and reports tags. An alias counts as all values of its anchor, so that neither
// nested aliases nor an alias inside its own anchor can exceed the limits.
func (n *Node) enter() bool {
	d := n.doc
	if d.full {
		return false
	}
	d.nodes++
	d.text += len(n.y.Value)
	switch {
	case n.depth > maxDepth:
		n.Problem(fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
	case d.nodes > maxNodes:
		n.Problem(fmt.Sprintf("the document has more than %d values, aliases expanded", maxNodes), "")
	case d.text > maxText:
		n.Problem(fmt.Sprintf("the document has more than %d bytes, aliases expanded", maxText), "")
	case n.at.Style&yaml.TaggedStyle != 0 || n.y.Style&yaml.TaggedStyle != 0:
		n.Problem("tags such as !!str are not supported", "remove the tag; put text in quotes")
		return false
	default:
		return true
	}
	d.full = true
	return false
}
