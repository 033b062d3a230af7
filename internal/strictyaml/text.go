package strictyaml

import (
	"path/filepath"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/lazyregexp"
	"github.com/hapair/hapair/internal/yamlsyntax"
)

// block matches the head of a literal block, whose text is on the lines below its key.
var block = lazyregexp.New(`^(?:[&!]\S*\s+)*\|`)

// PlaceOf returns the place of the value at a path, or of its nearest parent, as a problem without a message.
func (d *Document) PlaceOf(path string) diag.Problem {
	p := d.find(path)
	problem := diag.Problem{Line: p.line, Column: p.column, Path: path}
	if d != nil {
		problem.File, problem.Source = d.file, d.mask.Line(p.line, p.column)
	}
	return problem
}

// PlaceInText returns the place of line n, from 0, of the text at a path, if the text is a literal block ("|"). For other text
// it returns the place of the text. The result does not quote the line, because a text may contain passwords.
func (d *Document) PlaceInText(path string, n int) diag.Problem {
	problem := d.PlaceOf(path)
	problem.Source = ""
	if d == nil || problem.Line > len(d.lines) || !d.Has(path) {
		return problem
	}
	head := []rune(d.lines[problem.Line-1])
	at := problem.Line + n // the next line's index equals this line's number
	if problem.Column > len(head) || !block().MatchString(string(head[problem.Column-1:])) || n < 0 || at >= len(d.lines) {
		return problem
	}
	problem.Line, problem.Column = at+1, len(yamlsyntax.Indentation(d.lines[at]))+1
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
