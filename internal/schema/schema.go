// Package schema generates the JSON Schema of the spec, for editors, from the spec's types. What a type does not express, such
// as required keys and the words that a string may be, is in rules.go.
package schema

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/hapair/hapair/internal/spec"
)

//go:generate go test -run ^TestDescriptions$ -update .

// Spec returns the schema of a spec, draft 2020-12.
func Spec() (*jsonschema.Schema, error) {
	g := generator{docs: descriptions, rules: rules()}
	s := g.object(reflect.TypeFor[spec.Spec]())
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "hapair: a set of load balancers that share virtual IPs"
	return s, nil
}

// Generate writes the schema as indented JSON.
func Generate() ([]byte, error) {
	s, err := Spec()
	if err != nil {
		return nil, err
	}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot write the schema: %w", err)
	}
	return append(out, '\n'), nil
}

type generator struct {
	docs  map[string]string // Type.Field → comment
	rules map[string]func(*jsonschema.Schema)
}

// object returns the schema of a struct: its keys and no others.
func (g generator) object(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: none()}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		id := t.Name() + "." + f.Name
		p := g.value(f.Type)
		p.Description = describe(g.docs[id], f.Name, name)
		if rule := g.rules[id]; rule != nil {
			rule(p)
		}
		if f.Tag.Get("strictyaml") == "one" {
			p = oneOrMore(p, f.Type.Elem())
		}
		s.Properties[name] = p
		s.PropertyOrder = append(s.PropertyOrder, name)
	}
	s.Required = required(t)
	return s
}

// describe returns a key's description from its field's comment. A Go comment begins with the field's name, which is replaced
// by the key.
func describe(comment, field, key string) string {
	rest, ok := strings.CutPrefix(comment, field+" ")
	if ok && strings.EqualFold(field, strings.ReplaceAll(key, "_", "")) {
		return key + " " + rest
	}
	return comment
}

// none is a schema that no value satisfies.
func none() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

// oneOrMore returns the schema of a key that accepts one value or a list. For addresses, the list has one of each family,
// unless a rule allows more.
func oneOrMore(list *jsonschema.Schema, element reflect.Type) *jsonschema.Schema {
	description := list.Description
	list.Description = ""
	list.MinItems = jsonschema.Ptr(1)
	if list.MaxItems == nil && (element == reflect.TypeFor[spec.Address]() || element == reflect.TypeFor[netip.Addr]()) {
		list.MaxItems = jsonschema.Ptr(2)
	}
	return &jsonschema.Schema{Description: description, AnyOf: []*jsonschema.Schema{list.Items, list}}
}

// value returns the schema of a type.
func (g generator) value(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[spec.Address]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[0-9A-Fa-f.:]+(/[0-9]+)?$`}
	case reflect.TypeFor[netip.Addr]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[0-9A-Fa-f.:]+$`}
	case reflect.TypeFor[netip.Prefix]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[0-9A-Fa-f.:]+/[0-9]+$`}
	case reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]*\.?[0-9]+(ms|s|m|h))+$`}
	case reflect.TypeFor[spec.Secret]():
		return secret()
	case reflect.TypeFor[spec.Log](), reflect.TypeFor[spec.Interface](), reflect.TypeFor[spec.OnChange]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, g.object(t)}}
	case reflect.TypeFor[spec.Check](), reflect.TypeFor[spec.CheckTLS]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{g.object(t), {Type: "boolean"}}}
	case reflect.TypeFor[spec.PortRange]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{number(1, 65535), {Type: "string", Pattern: `^[0-9]+-[0-9]+$`}}}
	case reflect.TypeFor[spec.Port]():
		return &jsonschema.Schema{AnyOf: append(g.value(reflect.TypeFor[spec.PortRange]()).AnyOf, g.object(t))}
	case reflect.TypeFor[spec.Status]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{number(100, 599), {Type: "string", Pattern: `^[1-5][0-9]{2}(-[1-5][0-9]{2})?$`}}}
	case reflect.TypeFor[spec.Expect]():
		one := g.value(reflect.TypeFor[spec.Status]())
		return &jsonschema.Schema{AnyOf: append(one.AnyOf, &jsonschema.Schema{Type: "array", Items: one}, g.object(t))}
	case reflect.TypeFor[spec.Headers]():
		return &jsonschema.Schema{Type: "object"}
	case reflect.TypeFor[spec.ServerAddress]():
		return &jsonschema.Schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.value(t.Elem())
	case reflect.Struct:
		return g.object(t)
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: g.value(t.Elem())}
	case reflect.Map:
		return &jsonschema.Schema{Type: "object"}
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.Int:
		return &jsonschema.Schema{Type: "integer"}
	}
	panic("schema: no schema for " + t.String())
}

// number returns the schema of a whole number in a range.
func number(least, most float64) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "integer", Minimum: &least, Maximum: &most}
}

// secret returns the schema of a reference to a secret: {file: PATH} or {env: NAME}.
func secret() *jsonschema.Schema {
	reference := func(key string) *jsonschema.Schema {
		return &jsonschema.Schema{
			Type: "object", Required: []string{key}, AdditionalProperties: none(),
			Properties: map[string]*jsonschema.Schema{key: {Type: "string", MinLength: jsonschema.Ptr(1)}},
		}
	}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{reference("file"), reference("env")}}
}
