package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/yamlmask"
	"github.com/hapair/hapair/internal/yamlsyntax"
)

// Decode decodes a file's content into the struct that out points to. Problems of the result lists what is wrong; out has what
// could be decoded.
func Decode(file string, data []byte, out any) *Document {
	d := &Document{file: file, places: map[string]place{}, mask: yamlmask.New(nil, nil, nil),
		told: map[string]bool{}, misspelt: map[string]bool{}, dropped: map[diag.Severity]int{}}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !d.readable(data) {
		return d
	}
	d.lines = strings.Split(string(data), "\n")
	raw, free := hiddenIn(reflect.TypeOf(out).Elem())
	d.mask = yamlmask.New(d.lines, raw, free)
	root := d.parse(data)
	if root == nil {
		return d
	}
	n := &Node{doc: d, at: root, y: root, depth: 1}
	if n.resolve(); n.y.Kind != yaml.MappingNode {
		d.mask.Tree(root)
		d.mask.All(n.y) // the file may be a file with a secret, given by mistake
		d.at(diag.Error, place{1, 1}, "", "the file must be a mapping", "")
		return d
	}
	d.mask.Tree(root)
	n.Decode(out)
	return d
}

// readable reports whether the bytes are text that can be parsed and shown safely.
func (d *Document) readable(data []byte) bool {
	if len(data) > MaxSize {
		d.at(diag.Error, place{1, 1}, "", fmt.Sprintf("the file has more than %d MiB", MaxSize>>20), "")
		return false
	}
	p := place{1, 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			d.at(diag.Error, p, "", fmt.Sprintf("byte 0x%02x is not UTF-8", data[i]), "save the file as UTF-8")
			return false
		case forbidden(r) || r == '\r' && (i+1 == len(data) || data[i+1] != '\n'):
			d.at(diag.Error, p, "", fmt.Sprintf("control character %U", r), "remove it")
			return false
		}
		if i += size; r == '\n' {
			p = place{p.line + 1, 1}
		} else {
			p.column++
		}
	}
	return true
}

// forbidden reports whether YAML or a terminal does not treat a character as text. YAML 1.1 counts U+0085, U+2028
// and U+2029 as line breaks, but editors do not.
func forbidden(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	case '\u2028', '\u2029', '\ufeff', '\ufffe', '\uffff':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// parse returns the tree of the only document, or reports why it cannot.
func (d *Document) parse(data []byte) (root *yaml.Node) {
	// yaml.v3 turns its own errors into values, but has had panics on malformed input (CVE-2022-28948).
	defer func() {
		if r := recover(); r != nil {
			root = nil
			d.at(diag.Error, place{1, 1}, "", "the file cannot be read as YAML", "")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	err := dec.Decode(&first)
	if err != nil && !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil
	}
	if err != nil || len(first.Content) == 0 || empty(first.Content[0]) {
		d.at(diag.Error, place{1, 1}, "", "the file is empty", "")
		return nil
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err)
		return nil
	default:
		p := place{max(second.Line, 1), max(second.Column, 1)}
		d.at(diag.Error, p, "", "the file contains more than one document", "keep only the part before this ---")
		return nil
	}
	return first.Content[0]
}

// syntax adds the problem of a syntax error.
func (d *Document) syntax(err error) {
	e := yamlsyntax.Explain(err, d.lines)
	if e.Alias > 0 {
		d.mask.Value(e.Line, e.Alias)
	}
	d.at(diag.Error, place{e.Line, 1}, "", e.Message, e.Hint)
}

// empty reports whether a node is the null that yaml.v3 returns for a document without content.
func empty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Tag == "!!null"
}
