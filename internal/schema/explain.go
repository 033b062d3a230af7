package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/hapair/hapair/internal/nearest"
)

// listIndex matches the index in a path after a key that has a list: [] or [3].
var listIndex = regexp.MustCompile(`\[[0-9]*\]`)

// Explain returns the documentation of a key, such as services.check, and of the keys in it; of the whole spec if the key is
// empty. The error names the nearest key.
func Explain(key string) (string, error) {
	s, err := Spec()
	if err != nil {
		return "", err
	}
	path := ""
	for _, name := range strings.FieldsFunc(listIndex.ReplaceAllString(key, ""), func(r rune) bool { return r == '.' }) {
		inner, _ := Mapping(s)
		if inner == nil {
			return "", fmt.Errorf("cannot explain %q: %s takes no keys", key, path)
		}
		next, ok := inner.Properties[name]
		if !ok {
			return "", fmt.Errorf("cannot explain %q: %s", key, nearestKey(path, name, inner))
		}
		s, path = next, strings.TrimPrefix(path+"."+name, ".")
	}
	var b strings.Builder
	if path != "" {
		fmt.Fprintf(&b, "%s: %s\n\n    %s\n", path, plain(Takes(s)), s.Description)
	}
	if inner, _ := Mapping(s); inner != nil {
		if path != "" {
			b.WriteString("\n")
		}
		keysOf(&b, inner)
	}
	return b.String(), nil
}

// nearestKey returns the existing key that a missing one may have meant.
func nearestKey(path, name string, in *jsonschema.Schema) string {
	where := "the spec"
	if path != "" {
		where = path
	}
	var elsewhere []string
	for _, key := range Keys() {
		if strings.HasSuffix(key, "."+name) {
			elsewhere = append(elsewhere, key)
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Sprintf("%s has no key %q, but there are %s", where, name, strings.Join(elsewhere, ", "))
	}
	if near := nearest.Word(name, in.PropertyOrder); near != "" {
		return fmt.Sprintf("%s has no key %q; did you mean %q?", where, name, strings.TrimPrefix(path+"."+near, "."))
	}
	return fmt.Sprintf("%s has no key %q; it has %s", where, name, strings.Join(in.PropertyOrder, ", "))
}

// keysOf writes a line for each key of a mapping. Required ones have a star.
func keysOf(b *strings.Builder, s *jsonschema.Schema) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, key := range s.PropertyOrder {
		p := s.Properties[key]
		if slices.Contains(s.Required, key) {
			key += "*"
		}
		fmt.Fprintf(w, "    %s\t%s\n", key, p.Description)
	}
	_ = w.Flush() // to a strings.Builder
	if len(s.Required) > 0 {
		b.WriteString("\n    * required\n")
	}
}

// plain returns Markdown text as plain text.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// Keys returns all keys of the spec, in the form that Explain accepts.
func Keys() []string {
	s, err := Spec()
	if err != nil {
		return nil
	}
	var all []string
	var walk func(path string, s *jsonschema.Schema)
	walk = func(path string, s *jsonschema.Schema) {
		for _, key := range s.PropertyOrder {
			child := strings.TrimPrefix(path+"."+key, ".")
			all = append(all, child)
			if inner, _ := Mapping(s.Properties[key]); inner != nil {
				walk(child, inner)
			}
		}
	}
	walk("", s)
	return all
}
