package schema

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Mapping returns the schema of the mapping that a value is, contains as list entries, or may be. It returns nil if there is none.
func Mapping(s *jsonschema.Schema) (inner *jsonschema.Schema, list bool) {
	switch {
	case len(s.PropertyOrder) > 0:
		return s, false
	case s.Items != nil:
		inner, _ := Mapping(s.Items)
		return inner, true
	}
	for _, alternative := range s.AnyOf {
		if len(alternative.PropertyOrder) > 0 {
			return alternative, false
		}
	}
	return nil, false
}

// Takes returns a short description of the values that a schema allows.
func Takes(s *jsonschema.Schema) string {
	var words []string
	for _, value := range s.Enum {
		words = append(words, fmt.Sprintf("`%v`", value))
	}
	switch {
	case len(words) > 0:
		return strings.Join(words, ", ")
	case len(s.OneOf) > 0: // a reference to a secret
		return "`{file: PATH}` or `{env: NAME}`"
	case len(s.PropertyOrder) > 0: // in this case AnyOf says which keys require each other
		return "a mapping"
	case len(s.AnyOf) > 0:
		return either(s.AnyOf)
	case s.Type == "array":
		return "a list of " + plural(Takes(s.Items))
	case s.Minimum != nil && s.Maximum != nil:
		return strconv.FormatFloat(*s.Minimum, 'f', -1, 64) + " to " + strconv.FormatFloat(*s.Maximum, 'f', -1, 64)
	}
	return map[string]string{"object": "a mapping", "string": "text", "integer": "a number", "boolean": "`true` or `false`"}[s.Type]
}

func either(alternatives []*jsonschema.Schema) string {
	var words []string
	for _, a := range alternatives {
		words = append(words, Takes(a))
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
