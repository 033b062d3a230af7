package strictyaml

import (
	"path/filepath"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/lazyregexp"
)

// block is the head of a text that stands line by line below its key.
var block = lazyregexp.New(`^(?:[&!]\S*\s+)*\|`)

// PlaceOf returns where the value at a path stands, or the nearest one that holds it, as a problem without a message.
func (d *Document) PlaceOf(path string) diag.Problem {
	p := d.find(path)
	problem := diag.Problem{Line: p.line, Column: p.column, Path: path}
	if d != nil {
		problem.File, problem.Source = d.file, d.source(p)
	}
	return problem
}

// PlaceInText returns where line n, from 0, of the text at a path stands. That is known of a literal block ("|"); another
// text is taken as a whole. The line itself is not part of it: a text may hold anything, passwords too.
func (d *Document) PlaceInText(path string, n int) diag.Problem {
	problem := d.PlaceOf(path)
	problem.Source = ""
	if d == nil || problem.Line > len(d.lines) || !d.Has(path) {
		return problem
	}
	head := []rune(d.lines[problem.Line-1])
	at := problem.Line + n // the index of the next line is this line's number
	if problem.Column > len(head) || !block().MatchString(string(head[problem.Column-1:])) || n < 0 || at >= len(d.lines) {
		return problem
	}
	problem.Line, problem.Column = at+1, len(indentOf(d.lines[at]))+1
	return problem
}

// ProblemInText adds an error, or a warning, about line n, from 0, of the text at a path. See PlaceInText.
func (d *Document) ProblemInText(severity diag.Severity, path string, n int, message, hint string) {
	p := d.PlaceInText(path, n)
	d.at(severity, place{p.Line, p.Column}, path, message, hint)
}

// Beside returns the path of a file that the document names relative to itself.
func (d *Document) Beside(name string) string {
	if d == nil || filepath.IsAbs(name) || !strings.ContainsRune(d.file, filepath.Separator) {
		return name
	}
	return filepath.Join(filepath.Dir(d.file), name)
}
