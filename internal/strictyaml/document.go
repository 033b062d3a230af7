// Package strictyaml decodes one YAML document into Go structs, strictly: an unknown key, a duplicate key or a wrong type
// is a problem at its line and column, and all problems are reported at once. It remembers where each path stood, so that
// validation can point there too. Hostile input costs bounded memory and time.
package strictyaml

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
)

// MaxSize is the most bytes that a file may have: 10,000 services have less.
const MaxSize = 2 << 20

// Bounds on the input.
const (
	maxDepth    = 100     // levels of nesting
	maxNodes    = 500_000 // values, each as often as it is referred to
	maxText     = 8 << 20 // bytes of all scalars, each as often as it is referred to
	maxKey      = 256     // bytes of a key
	maxProblems = 100     // that are told; what comes after is only counted
	maxSource   = 200     // characters of a line that are shown
	maxLine     = 4 << 10 // bytes of a line that are searched for a secret's key
	maxQuote    = 60      // characters of a value that a message quotes
)

// place is where something stands in a file, from 1, the column in characters.
type place struct{ line, column int }

// Document is a decoded file: the problems found so far, and where each path stood.
type Document struct {
	file     string
	lines    []string
	tree     *yaml.Node // nil if the file is not YAML
	hidden   hidden
	places   map[string]place
	masked   map[int]int     // line → column from which a secret stands
	told     map[string]bool // paths that an error was added about
	misspelt map[string]bool // paths whose key was written wrong
	unquoted diag.Problems   // texts that YAML reads as something else, unless another error is about them
	problems diag.Problems
	dropped  map[diag.Severity]int // how many more there are

	nodes, text int
	full        bool // a bound was hit: nothing more is decoded
}

// Has tells whether the document holds something at a path such as services[1].port.
func (d *Document) Has(path string) bool {
	if d == nil {
		return false
	}
	_, ok := d.places[path]
	return ok
}

// Told tells whether an error about a path was added already, or its key misspelt, so that its value means nothing.
func (d *Document) Told(path string) bool {
	return d != nil && (d.told[path] || d.misspelt[path] && !d.Has(path))
}

// Line is the line of a path, or of the nearest that holds it.
func (d *Document) Line(path string) int { return d.find(path).line }

// Unreadable tells whether nothing could be decoded at all, so that there is nothing to validate either.
func (d *Document) Unreadable() bool { return d == nil || len(d.places) == 0 }

// Problem adds an error about what stands at a path. Where nothing does, it points to what should have held it.
func (d *Document) Problem(path, message, hint string) {
	d.at(diag.Error, d.find(path), path, message, hint)
}

// Warning is a Problem that does not forbid going on.
func (d *Document) Warning(path, message, hint string) {
	d.at(diag.Warning, d.find(path), path, message, hint)
}

// Problems is what was found so far, in the order of the lines.
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
		ps[i].Source = d.source(place{ps[i].Line, ps[i].Column})
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

// Place gives a problem that has only a path its place in the file.
func (d *Document) Place(p diag.Problem) diag.Problem {
	if d == nil || p.Line > 0 || p.Path == "" {
		return p
	}
	at := d.PlaceOf(p.Path)
	p.File, p.Line, p.Column, p.Source = at.File, at.Line, at.Column, at.Source
	return p
}

// Fork returns the document without the problems found so far, to validate it once more in another way.
func (d *Document) Fork() *Document {
	if d == nil {
		return nil
	}
	out := *d
	out.problems, out.told, out.dropped = nil, map[string]bool{}, map[diag.Severity]int{}
	return &out
}

// find is the place of a path, or of the nearest that holds it.
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
