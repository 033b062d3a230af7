// Package docs writes the documentation that would otherwise repeat the code by hand.
package docs

//go:generate go test -run ^(TestSpec|TestMetrics)$ -update .

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/hapair/hapair/internal/schema"
)

const specIntroduction = `# The spec, field by field

<!-- Written by "make generate" out of internal/spec/schema.go: change it there. -->

A spec is one YAML file. Decoding is strict: an unknown key, a duplicate key or a wrong type is an error at its line and
column. ` + "`bake validate SPEC`" + ` tells everything that is wrong at once, ` + "`bake init`" + ` prints a commented spec to start from,
and ` + "`bake schema`" + ` prints the JSON Schema for editors. Specs that work are in [examples](../examples).
`

// Spec is the page about the spec.
func Spec() ([]byte, error) {
	s, err := schema.Spec()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(specIntroduction)
	object(&b, "", s)
	return b.Bytes(), nil
}

// object writes a table of a mapping's keys, and then those of the mappings in it.
func object(b *bytes.Buffer, path string, s *jsonschema.Schema) {
	if path != "" {
		fmt.Fprintf(b, "\n## `%s`\n", path)
	}
	b.WriteString("\n| key | takes | |\n|---|---|---|\n")
	for _, key := range s.PropertyOrder {
		p := s.Properties[key]
		name := "`" + key + "`"
		if slices.Contains(s.Required, key) {
			name = "**" + name + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, takes(p), cell(p.Description))
	}
	if path == "" {
		b.WriteString("\nKeys in **bold** are required.\n")
	}
	for _, key := range s.PropertyOrder {
		if inner, list := mapping(s.Properties[key]); inner != nil {
			child := strings.TrimPrefix(path+"."+key, ".")
			if list {
				child += "[]"
			}
			object(b, child, inner)
		}
	}
}

// mapping finds the mapping that a value is, has as its entries, or may be.
func mapping(s *jsonschema.Schema) (inner *jsonschema.Schema, list bool) {
	switch {
	case len(s.PropertyOrder) > 0:
		return s, false
	case s.Items != nil:
		inner, _ := mapping(s.Items)
		return inner, true
	}
	for _, alternative := range s.AnyOf {
		if len(alternative.PropertyOrder) > 0 {
			return alternative, false
		}
	}
	return nil, false
}

// takes says in a few words what a value may be.
func takes(s *jsonschema.Schema) string {
	var words []string
	for _, value := range s.Enum {
		words = append(words, fmt.Sprintf("`%v`", value))
	}
	switch {
	case len(words) > 0:
		return strings.Join(words, ", ")
	case len(s.OneOf) > 0: // the references of a secret
		return "`{file: PATH}` or `{env: NAME}`"
	case len(s.PropertyOrder) > 0: // anyOf may then say which keys need each other
		return "a mapping"
	case len(s.AnyOf) > 0:
		return either(s.AnyOf)
	case s.Type == "array":
		return "a list of " + plural(takes(s.Items))
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf("%g to %g", *s.Minimum, *s.Maximum)
	}
	return map[string]string{"object": "a mapping", "string": "text", "integer": "a number", "boolean": "`true` or `false`"}[s.Type]
}

func either(alternatives []*jsonschema.Schema) string {
	var words []string
	for _, a := range alternatives {
		words = append(words, takes(a))
	}
	return strings.Join(words, ", or ")
}

func plural(s string) string {
	switch s {
	case "a mapping":
		return "mappings"
	case "text":
		return "texts"
	case "text, or a mapping":
		return "texts or mappings"
	}
	return s
}

// cell keeps a text inside its cell.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "|", `\|`)
}
