// Package docs writes the documentation that would otherwise repeat the code by hand.
package docs

//go:generate go test -run ^(TestSpec|TestMetrics)$ -update .

import (
	"bytes"
	"encoding/json"
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
	page{&b, map[string]string{}}.object("", s)
	return b.Bytes(), nil
}

// page is where the tables go.
type page struct {
	b *bytes.Buffer
	// seen holds the mappings that were written, as JSON, with the path of each.
	seen map[string]string
}

// object writes a table of a mapping's keys, and then those of the mappings in it.
func (pg page) object(path string, s *jsonschema.Schema) {
	b := pg.b
	if path != "" {
		fmt.Fprintf(b, "\n## `%s`\n", path)
		if same, ok := pg.again(path, s); ok {
			fmt.Fprintf(b, "\nAs `%s`.\n", same)
			return
		}
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
			pg.object(child, inner)
		}
	}
}

// again returns the path under which the same mapping was written before.
func (pg page) again(path string, s *jsonschema.Schema) (string, bool) {
	inner := *s
	inner.Description = ""
	key, err := json.Marshal(&inner)
	if err != nil {
		return "", false
	}
	if same, ok := pg.seen[string(key)]; ok {
		return same, true
	}
	pg.seen[string(key)] = path
	return "", false
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
	case "1 to 65535, or text, or a mapping":
		return "ports, ranges or mappings"
	case "100 to 599, or text":
		return "statuses or ranges"
	}
	return s
}

// cell keeps a text inside its cell.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "|", `\|`)
}
