package strictyaml

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// hiddenIn returns the keys in a type whose values a problem must not quote. raw are those of text that is passed through: fields
// tagged strictyaml:"raw". free are those of mappings with any content, and of mappings with a secret.
func hiddenIn(t reflect.Type) (raw, free []string) {
	isRaw, isFree := map[string]bool{}, map[string]bool{}
	findHidden(t, isRaw, isFree, map[reflect.Type]bool{})
	return chosen(isRaw), chosen(isFree)
}

// chosen returns the names that are true, sorted.
func chosen(names map[string]bool) []string {
	maps.DeleteFunc(names, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(names))
}

func findHidden(t reflect.Type, raw, free map[string]bool, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	names, fields := fieldsOf(t)
	for _, name := range names {
		f := fields[name]
		raw[name] = raw[name] || tagged(f, "raw")
		free[name] = free[name] || f.Type.Kind() == reflect.Map || holdsSecret(f.Type)
		findHidden(f.Type, raw, free, seen)
	}
}

// tagged reports whether the strictyaml tag of a field has an option.
func tagged(f reflect.StructField, option string) bool {
	return slices.Contains(strings.Split(f.Tag.Get("strictyaml"), ","), option)
}

// holdsSecret reports whether a struct has a field for a secret.
func holdsSecret(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	_, fields := fieldsOf(t)
	for _, f := range fields {
		if tagged(f, "secret") {
			return true
		}
	}
	return false
}

// Hide hides the value at a path in all output.
func (d *Document) Hide(path string) {
	if d == nil {
		return
	}
	if p, ok := d.places[path]; ok {
		d.mask.Value(p.line, p.column)
	}
}
