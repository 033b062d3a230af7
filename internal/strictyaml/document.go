// Package strictyaml decodes one YAML document into Go structs, strictly: an unknown key, a duplicate key or a wrong type is a
// problem with its line and column, and all problems are reported at once. It stores the place of each path, so that a later
// validation can refer to it. Memory and time are limited for hostile input.
package strictyaml

import (
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/yamlmask"
)

// MaxSize is the maximum size of a file in bytes. A spec with 10,000 services is smaller.
const MaxSize = 2 << 20

// Limits of the input.
const (
	maxDepth    = 100     // levels of nesting
	maxNodes    = 500_000 // values; those of an anchor count at each alias
	maxText     = 8 << 20 // bytes of all scalars; those of an anchor count at each alias
	maxKey      = 256     // bytes of a key
	maxProblems = 100     // reported; further ones are only counted
	maxQuote    = 60      // characters of a value that a message quotes
)

// place is a position in a file. Line and column count from 1, the column in characters.
type place struct{ line, column int }

// Document is a decoded file: the problems found so far, and the place of each path.
type Document struct {
	file     string
	lines    []string
	places   map[string]place
	mask     *yamlmask.Mask
	told     map[string]bool // paths with an error
	misspelt map[string]bool // paths whose key was misspelt
	unquoted diag.Problems   // texts that YAML does not read as text, reported unless there is another error about them
	problems diag.Problems
	dropped  map[diag.Severity]int // the number of further problems

	nodes, text int
	full        bool // a limit was reached: nothing more is decoded
}

// Has reports whether the document has a value at a path such as services[1].port.
func (d *Document) Has(path string) bool {
	if d == nil {
		return false
	}
	_, ok := d.places[path]
	return ok
}

// HasError reports whether there is an error about a path, or its key was misspelt, so that its value has no meaning.
func (d *Document) HasError(path string) bool {
	return d != nil && (d.told[path] || d.misspelt[path] && !d.Has(path))
}

// Line returns the line of a path, or of the nearest parent that the document has.
func (d *Document) Line(path string) int { return d.find(path).line }

// Unreadable reports whether nothing could be decoded, so that validation makes no sense.
func (d *Document) Unreadable() bool { return d == nil || len(d.places) == 0 }

// Problem adds an error about the value at a path. If there is none, the error refers to the nearest parent.
func (d *Document) Problem(path, message, hint string) {
	d.at(diag.Error, d.find(path), path, message, hint)
}

// Warning is like Problem, but adds a warning.
func (d *Document) Warning(path, message, hint string) {
	d.at(diag.Warning, d.find(path), path, message, hint)
}

// Problems returns the problems found so far, sorted by line.
func (d *Document) Problems() diag.Problems {
	if d == nil {
		return nil
	}
	ps := append(diag.Problems(nil), d.problems...)
	for _, p := range d.unquoted {
		if !d.told[p.Path] && len(ps) < maxProblems {
			ps = append(ps, p)
		}
	}
	for i := range ps {
		ps[i].Source = d.mask.Line(ps[i].Line, ps[i].Column)
	}
	ps.Sort()
	for _, severity := range []diag.Severity{diag.Error, diag.Warning} {
		if n := d.dropped[severity]; n > 0 {
			ps = append(ps, diag.Problem{
				Severity: severity, File: d.file, Line: 1, Column: 1,
				Message: plural(n, "more "+string(severity)+" is", "more "+string(severity)+"s are") + " not shown",
			})
		}
	}
	return ps
}

// Place adds the place to a problem that only has a path.
func (d *Document) Place(p diag.Problem) diag.Problem {
	if d == nil || p.Line > 0 || p.Path == "" {
		return p
	}
	at := d.PlaceOf(p.Path)
	p.File, p.Line, p.Column, p.Source = at.File, at.Line, at.Column, at.Source
	return p
}

// Fork returns the document without the problems found so far, for another validation.
func (d *Document) Fork() *Document {
	if d == nil {
		return nil
	}
	out := *d
	out.problems, out.told, out.dropped = nil, map[string]bool{}, map[diag.Severity]int{}
	return &out
}

// find returns the place of a path, or of the nearest parent that the document has.
func (d *Document) find(path string) place {
	if d == nil {
		return place{1, 1}
	}
	for {
		if p, ok := d.places[path]; ok {
			return p
		}
		if path == "" {
			return place{1, 1}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// at adds a problem.
func (d *Document) at(severity diag.Severity, p place, path, message, hint string) {
	if d == nil {
		return
	}
	if severity == diag.Error {
		d.told[path] = true
	}
	if len(d.problems) >= maxProblems {
		d.dropped[severity]++
		return
	}
	d.problems = append(d.problems, diag.Problem{
		Severity: severity, File: d.file, Line: p.line, Column: p.column, Path: path, Message: message, Hint: hint,
	})
}
