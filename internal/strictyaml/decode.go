package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/lazyregexp"
	"github.com/hapair/hapair/internal/nearest"
	"github.com/hapair/hapair/internal/redact"
)

// Decode decodes the value into the variable that out points to: a struct with yaml tags, a string, bool, int, time.Duration, a
// slice or pointer of these, map[string]any for any content, a Decoder, or an encoding.TextUnmarshaler. A field tagged
// `strictyaml:"one"` is a list that may be written as a single value.
func (n *Node) Decode(out any) { n.decode(reflect.ValueOf(out).Elem()) }

// DecodeOne is like Decode, for a list that may be written as a single value.
func (n *Node) DecodeOne(out any) {
	n.one = true
	n.Decode(out)
}

func (n *Node) decode(v reflect.Value) {
	if !n.enter() {
		return
	}
	n.doc.places[n.Path()] = placeOf(n.at)
	if n.y.Kind == yaml.ScalarNode && n.y.Tag == "!!null" {
		n.Problem("has no value", "give it one, or leave the key out")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch t := v.Addr().Interface().(type) {
	case Decoder:
		t.DecodeYAML(n)
		return
	case *time.Duration:
		n.decodeDuration(t)
		return
	case encoding.TextUnmarshaler:
		n.decodeText(t)
		return
	}
	n.decodeKind(v)
}

func (n *Node) decodeKind(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		n.decodeStruct(v)
	case reflect.Slice:
		n.decodeSlice(v)
	case reflect.Map:
		if n.y.Kind != yaml.MappingNode {
			n.wrongType("a mapping", "")
			return
		}
		n.doc.mask.All(n.y)
		if m, ok := n.free(freeDepth + 1).(map[string]any); ok {
			v.Set(reflect.ValueOf(m))
		}
	case reflect.String:
		n.decodeString(v)
	case reflect.Bool:
		n.decodeBool(v)
	case reflect.Int:
		n.decodeInt(v)
	default:
		panic(fmt.Sprintf("strictyaml: cannot decode into %s", v.Type()))
	}
}

func (n *Node) decodeStruct(v reflect.Value) {
	private := holdsSecret(v.Type())
	if n.y.Kind != yaml.MappingNode {
		if private {
			n.doc.mask.All(n.y)
			n.raw = true
		}
		n.wrongType("a mapping", "")
		return
	}
	names, fields := fieldsOf(v.Type())
	for key, y := range n.pairs() {
		f, ok := fields[key.Value]
		if !ok {
			n.unknown(key, y, names, fields, private, hintFor(v, key.Value))
			continue
		}
		c := n.child(y, key.Value, 0)
		c.one, c.raw = tagged(f, "one"), tagged(f, "raw")
		c.decode(v.FieldByIndex(f.Index))
	}
}

// UnknownKeyHinter is a struct that has hints for keys that it does not have, such as another program's name for one of its
// keys.
type UnknownKeyHinter interface {
	// UnknownKeyHint returns the hint for a key; empty if there is none.
	UnknownKeyHint(key string) string
}

func hintFor(v reflect.Value, key string) string {
	if h, ok := v.Addr().Interface().(UnknownKeyHinter); ok {
		return h.UnknownKeyHint(key)
	}
	return ""
}

// unknown adds a problem about a key that the struct does not have. If the key resembles another one, that one counts as
// written. The value is hidden if it may be a secret under a misspelt key. The key is hidden too if the struct has a secret and
// the key does not look like one.
func (n *Node) unknown(key, value *yaml.Node, names []string, fields map[string]reflect.StructField, private bool, known string) {
	if len(n.doc.problems) >= maxProblems {
		n.doc.dropped[diag.Error]++
		return
	}
	hint := "known here: " + strings.Join(names, ", ")
	if near := nearest.Word(key.Value, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
		n.doc.misspelt[join(n.Path(), near)] = true
		private = private || redact.Key(near) || fields[near].Type.Kind() != reflect.Map && holdsSecret(fields[near].Type)
	}
	if known != "" {
		hint = known
	}
	path := join(n.Path(), shorten(key.Value))
	if private || maybeSecret().MatchString(key.Value) || value.Kind == yaml.ScalarNode && !plainValue().MatchString(value.Value) {
		n.doc.mask.All(value)
	}
	if private && !plainKey().MatchString(key.Value) {
		path = n.Path()
		n.doc.mask.Value(key.Line, key.Column)
	}
	n.doc.at(diag.Error, placeOf(key), path, "unknown key", hint)
}

var (
	// maybeSecret matches further keys that may be misspelt keys of secrets, besides those of redact.Key.
	maybeSecret = lazyregexp.New(`(?i:auth|cred|key|login|pin|pw)`)
	// plainValue matches a name, a number or an address: values that are probably not secrets.
	plainValue = lazyregexp.New(`^[A-Za-z0-9._/ -]{0,24}$`)
)

// plainKey matches text that looks like a key.
var plainKey = lazyregexp.New(`^[A-Za-z]+([_-][A-Za-z]+)*$`)

// structFields has the keys of a struct, in order, and its fields by key.
type structFields struct {
	names  []string
	fields map[string]reflect.StructField
}

// known holds the structFields of each decoded type.
var known sync.Map

// fieldsOf maps the keys of a struct to its fields.
func fieldsOf(t reflect.Type) ([]string, map[string]reflect.StructField) {
	if have, ok := known.Load(t); ok {
		s := have.(structFields)
		return s.names, s.fields
	}
	s := structFields{fields: map[string]reflect.StructField{}}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		s.names = append(s.names, name)
		s.fields[name] = f
	}
	known.Store(t, s)
	return s.names, s.fields
}

func (n *Node) decodeSlice(v reflect.Value) {
	if n.y.Kind != yaml.SequenceNode {
		if !n.one {
			n.wrongType("a list", "")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		single := *n
		single.one = false
		single.decode(v.Index(0))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.y.Content), len(n.y.Content)))
	for i, y := range n.y.Content {
		n.child(y, "", i).decode(v.Index(i))
	}
}

// pairs yields each key with its value. It reports and skips invalid keys.
func (n *Node) pairs() func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		seen := map[string]int{}
		for i := 0; i+1 < len(n.y.Content); i += 2 {
			key, value := n.y.Content[i], n.y.Content[i+1]
			if !n.keyOK(key, seen) {
				continue
			}
			seen[key.Value] = key.Line
			if n.doc.full || !yield(key, value) {
				return
			}
		}
	}
}

func (n *Node) keyOK(key *yaml.Node, seen map[string]int) bool {
	message, hint := "", ""
	path := n.Path()
	switch line, twice := seen[key.Value]; {
	case key.Kind != yaml.ScalarNode:
		message = "a key must be a string"
	case key.Tag == "!!merge":
		message, hint = "merge keys (<<) are not supported", "write the keys out"
	case key.Tag != "!!str" || key.Style&yaml.TaggedStyle != 0:
		message, hint = fmt.Sprintf("the key %s is not a string", shorten(key.Value)), "put it in quotes"
	case len(key.Value) > maxKey:
		message = fmt.Sprintf("a key has at most %d bytes", maxKey)
	case twice:
		path = join(path, key.Value)
		message, hint = "duplicate key", fmt.Sprintf("the other is on line %d", line)
	default:
		return true
	}
	n.doc.at(diag.Error, placeOf(key), path, message, hint)
	return false
}
