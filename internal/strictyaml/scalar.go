package strictyaml

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/lazyregexp"
)

func (n *Node) decodeString(v reflect.Value) {
	if n.y.Kind != yaml.ScalarNode {
		n.wrongType("a string", "")
		return
	}
	if n.y.Tag != "!!str" && len(n.doc.unquoted) < maxProblems {
		// Quotes may not be the only problem of the text: see Document.Problems.
		n.doc.unquoted = append(n.doc.unquoted, diag.Problem{Severity: diag.Error, File: n.doc.file, Line: placeOf(n.at).line, Column: placeOf(n.at).column,
			Path: n.Path(), Message: fmt.Sprintf("must be a string, not %s", n.kind()), Hint: "put it in quotes"})
	}
	v.SetString(n.y.Value)
}

func (n *Node) decodeBool(v reflect.Value) {
	if n.y.Kind != yaml.ScalarNode || n.y.Tag != "!!bool" {
		hint := ""
		if is, ok := yesNo[n.y.Value]; ok && n.y.Kind == yaml.ScalarNode {
			hint = fmt.Sprintf("write %t", is)
		} else if n.y.Kind == yaml.ScalarNode && (n.y.Value == "true" || n.y.Value == "false") {
			hint = "write it without quotes"
		}
		n.wrongType("true or false", hint)
		return
	}
	v.SetBool(strings.EqualFold(n.y.Value, "true"))
}

// decimal matches numbers that all YAML versions read in the same way: 010 is 8 in YAML 1.1 and 10 in 1.2.
var decimal = lazyregexp.New(`^(0|-?[1-9][0-9]*)$`)

func (n *Node) decodeInt(v reflect.Value) {
	if n.y.Kind != yaml.ScalarNode || n.y.Tag != "!!int" {
		hint := ""
		if n.y.Kind == yaml.ScalarNode && decimal().MatchString(n.y.Value) {
			hint = "write it without quotes"
		}
		n.wrongType("a whole number", hint)
		return
	}
	i, err := strconv.ParseInt(n.y.Value, 10, 32)
	switch {
	case !decimal().MatchString(n.y.Value):
		n.wrongType("a whole number", "write it with decimal digits only, without a leading 0")
	case err != nil:
		n.Problem(fmt.Sprintf("%s is out of range", shorten(n.y.Value)), "")
	default:
		v.SetInt(i)
	}
}

func (n *Node) decodeDuration(t *time.Duration) {
	text, ok := n.Text()
	if !ok {
		n.wrongType("a duration", "write it as 250ms or 1s")
		return
	}
	dur, err := time.ParseDuration(text)
	if err != nil {
		n.wrongType("a duration", "write it with its unit, as 250ms or 1s")
		return
	}
	*t = dur
}

func (n *Node) decodeText(t encoding.TextUnmarshaler) {
	text, ok := n.Text()
	if !ok {
		n.wrongType("text", "")
		return
	}
	if len(text) > maxKey {
		n.Problem(fmt.Sprintf("has %d bytes; at most %d are allowed", len(text), maxKey), "")
		return
	}
	if err := t.UnmarshalText([]byte(text)); err != nil {
		n.Problem(n.kind()+" is not understood", textHint(t, err))
	}
}

// textHint describes the text form of a type.
func textHint(t encoding.TextUnmarshaler, err error) string {
	switch t.(type) {
	case *netip.Addr:
		return "write an IP address, as 192.0.2.1 or 2001:db8::1"
	case *netip.Prefix:
		return "write a network, as 192.0.2.0/24 or 2001:db8::/64"
	case *netip.AddrPort:
		return "write an IP address and a port, as 192.0.2.1:80 or [2001:db8::1]:80"
	}
	return err.Error()
}

// yesNo has the words that are truth values in YAML 1.1, but not in 1.2 and yaml.v3. cloud-init and netplan, which finally read
// a free mapping, use YAML 1.1.
var yesNo = map[string]bool{
	"yes": true, "Yes": true, "YES": true, "on": true, "On": true, "ON": true,
	"no": false, "No": false, "NO": false, "off": false, "Off": false, "OFF": false,
}

// freeDepth is the number of levels of a mapping with any content for which places are stored.
const freeDepth = 3

// free returns the value in JSON's types: nil, bool, int, float64, string, []any or map[string]any.
func (n *Node) free(levels int) any {
	if levels > 0 {
		n.doc.places[n.Path()] = placeOf(n.at)
	}
	switch n.y.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for key, y := range n.pairs() {
			if c := n.child(y, key.Value, 0); c.enter() {
				m[key.Value] = c.free(levels - 1)
			}
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.y.Content))
		for i, y := range n.y.Content {
			if c := n.child(y, "", i); c.enter() {
				list = append(list, c.free(levels-1))
			}
		}
		return list
	}
	return n.freeScalar()
}

func (n *Node) freeScalar() any {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	switch n.y.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.y.Value, "true")
	case "!!int":
		i, err := strconv.Atoi(n.y.Value)
		if err != nil || !decimal().MatchString(n.y.Value) {
			n.Problem(fmt.Sprintf("the number %s is ambiguous", shorten(n.y.Value)), "put it in quotes, or write it in decimal digits without a leading 0")
		}
		return i
	case "!!float":
		f, err := strconv.ParseFloat(n.y.Value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			n.Problem(n.kind()+" is not taken", "put it in quotes")
		}
		return f
	}
	if b, ok := yesNo[n.y.Value]; ok && n.y.Style&quoted == 0 {
		return b
	}
	return n.y.Value
}
