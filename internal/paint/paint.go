// Package paint colours messages on a terminal: problems, hints, and the results of checks.
package paint

import (
	"bytes"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Sequences of ECMA-48 (SGR), with the terminal's own colours.
const (
	red    = "\x1b[1;31m"
	green  = "\x1b[32m"
	yellow = "\x1b[1;33m"
	cyan   = "\x1b[36m"
	bold   = "\x1b[1m"
	reset  = "\x1b[0m"
)

// For returns a writer that colours what is written to w if w is a terminal, and otherwise w. It does not colour if the
// environment has NO_COLOR (https://no-color.org) or TERM=dumb. Remove control characters from the text before.
func For(w io.Writer, getenv func(string) string) io.Writer {
	f, ok := w.(*os.File)
	if !ok || getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return w
	}
	return New(w)
}

// New returns a writer that colours each line that is written to w. It keeps an incomplete line until the next write
// completes it.
func New(w io.Writer) io.Writer { return &writer{w: w} }

type writer struct {
	w    io.Writer
	rest []byte // an incomplete line
}

func (p *writer) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	end := bytes.LastIndexByte(p.rest, '\n') + 1
	if end == 0 {
		return len(b), nil
	}
	var out strings.Builder
	for line := range strings.Lines(string(p.rest[:end])) {
		out.WriteString(Line(strings.TrimSuffix(line, "\n")) + "\n")
	}
	p.rest = append([]byte(nil), p.rest[end:]...)
	if _, err := io.WriteString(p.w, out.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Line returns a line with colours, if it is of a kind that has some.
func Line(line string) string {
	for prefix, color := range map[string]string{"NOT ": red, "ok  ": green, "bake: ": red, "ha-agent: ": red} {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return color + prefix + reset + rest
		}
	}
	if strings.TrimSpace(line) == "^" {
		return green + line + reset
	}
	if rest, ok := strings.CutPrefix(line, "    hint: "); ok {
		return "    " + cyan + "hint:" + reset + " " + rest
	}
	// FILE:LINE:COLUMN: error: …
	for word, color := range map[string]string{"error: ": red, "warning: ": yellow} {
		place, rest, found := strings.Cut(line, word)
		if found && (place == "" || strings.HasSuffix(place, ": ") && !strings.Contains(strings.TrimSuffix(place, ": "), ": ")) {
			if place != "" {
				place = bold + place + reset
			}
			return place + color + strings.TrimSuffix(word, " ") + reset + " " + rest
		}
	}
	return line
}
