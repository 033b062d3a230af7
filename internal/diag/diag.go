// Package diag represents problems in an input, with file, line, column, source line and a hint.
package diag

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/hapair/hapair/internal/redact"
)

// Severity is Error or Warning. Only an error makes the input unusable.
type Severity string

const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one problem in an input.
type Problem struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`   // from 1; 0 if unknown
	Column   int      `json:"column,omitempty"` // from 1, in characters; 0 if unknown
	Path     string   `json:"path,omitempty"`   // the path in the document: services[1].port
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`   // how to fix it
	Source   string   `json:"source,omitempty"` // the source line; secrets in it are masked
}

// String returns the problem's first line, in the format of a compiler.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, max(p.Column, 1))
		}
		b.WriteString(": ")
	}
	b.WriteString(string(p.Severity))
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(redact.Cut(p.Message, redact.MaxLine))
	return b.String()
}

// Problems are all problems in an input.
type Problems []Problem

// HasErrors reports whether at least one problem is an error.
func (ps Problems) HasErrors() bool {
	for _, p := range ps {
		if p.Severity == Error {
			return true
		}
	}
	return false
}

// At returns the problems with the given path.
func (ps Problems) At(path string) Problems {
	var at Problems
	for _, p := range ps {
		if p.Path == path {
			at = append(at, p)
		}
	}
	return at
}

// Err returns nil if there are only warnings, and the problems as one error otherwise.
func (ps Problems) Err() error {
	if ps.HasErrors() {
		return ps
	}
	return nil
}

// Error returns every problem, one line each.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Sort sorts the problems by their position in the input.
func (ps Problems) Sort() {
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i], ps[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
}

// Print writes the problems for people: position and message, the source line with a mark under the column, and the hint.
func (ps Problems) Print(w io.Writer) {
	for _, p := range ps.bounded() {
		fmt.Fprintln(w, p.String())
		if p.Source != "" {
			fmt.Fprintf(w, "    %s\n", p.Source)
			if p.Column > 0 {
				fmt.Fprintf(w, "    %s^\n", pad(p.Source, p.Column-1))
			}
		}
		if p.Hint != "" {
			fmt.Fprintf(w, "    hint: %s\n", p.Hint)
		}
	}
}

// bounded shortens the texts of problems to what fits on a screen, because a generated line can have megabytes.
func (ps Problems) bounded() Problems {
	out := make(Problems, len(ps))
	for i, p := range ps {
		p.Message, p.Hint = redact.Cut(p.Message, redact.MaxLine), redact.Cut(p.Hint, redact.MaxLine)
		if cut := redact.Cut(p.Source, redact.MaxLine); cut != p.Source && p.Column > redact.MaxLine {
			p.Source = ""
		} else {
			p.Source = cut
		}
		out[i] = p
	}
	return out
}

// MarshalJSON encodes the problems with shortened texts.
func (ps Problems) MarshalJSON() ([]byte, error) {
	type plain []Problem
	return json.Marshal(plain(ps.bounded()))
}

// pad returns white space as wide as the first n characters of line. It keeps tabs.
func pad(line string, n int) string {
	var b strings.Builder
	for _, r := range line {
		if n == 0 {
			break
		}
		n--
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteRune(' ')
		}
	}
	return b.String()
}

// PrintJSON writes the problems as a JSON array.
func (ps Problems) PrintJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(ps)
}

// Strict returns the problems with errors for warnings.
func (ps Problems) Strict() Problems {
	out := append(Problems(nil), ps...)
	for i := range out {
		out[i].Severity = Error
	}
	return out
}
