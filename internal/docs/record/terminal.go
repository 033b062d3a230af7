package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// cell is a character on the screen with its style: a number of SGR (ECMA-48), or 0.
type cell struct {
	char  rune
	style int
}

// terminal is as much of a terminal as bake uses: lines, cursor up, clearing, and the styles of internal/paint.
type terminal struct {
	columns, rows int
	lines         [][]cell // all lines so far; the screen shows the last ones
	row, column   int      // of the cursor
	style         int
	rest          []byte // an incomplete sequence
}

func newTerminal(columns, rows int) *terminal {
	return &terminal{columns: columns, rows: rows, lines: [][]cell{nil}}
}

// write takes the output of a program.
func (t *terminal) write(b []byte) {
	b = append(t.rest, b...)
	for len(b) > 0 {
		n := t.step(b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	t.rest = append([]byte(nil), b...)
}

// step takes a character or a sequence, and returns its length; 0 means that it is incomplete.
func (t *terminal) step(b []byte) int {
	switch b[0] {
	case '\n':
		if t.row++; t.row == len(t.lines) {
			t.lines = append(t.lines, nil)
		}
		return 1
	case '\r':
		t.column = 0
		return 1
	case 0x1b:
		return t.sequence(b)
	}
	if !utf8.FullRune(b) {
		return 0
	}
	r, n := utf8.DecodeRune(b)
	if r >= ' ' {
		t.put(r)
	}
	return n
}

func (t *terminal) put(r rune) {
	if t.column == t.columns {
		t.column = 0
		t.step([]byte{'\n'})
	}
	line := t.lines[t.row]
	for len(line) <= t.column {
		line = append(line, cell{' ', 0})
	}
	line[t.column] = cell{r, t.style}
	t.lines[t.row] = line
	t.column++
}

// sequence takes a control sequence: ESC [ numbers letter. Others than those that bake writes have no effect.
func (t *terminal) sequence(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != '[' {
		return 2
	}
	end := strings.IndexFunc(string(b[2:]), func(r rune) bool { return r >= '@' && r <= '~' })
	if end < 0 {
		return 0
	}
	numbers := strings.Split(string(b[2:2+end]), ";")
	first, _ := strconv.Atoi(numbers[0])
	switch b[2+end] {
	case 'A':
		t.row = max(0, t.row-max(1, first))
	case 'J':
		t.lines = t.lines[:t.row+1]
		t.clear()
	case 'K':
		t.clear()
	case 'm':
		for _, s := range numbers {
			if n, _ := strconv.Atoi(s); n != 1 { // bold comes with a colour
				t.style = n
			}
		}
	}
	return 3 + end
}

// clear removes the line from the cursor on.
func (t *terminal) clear() {
	if line := t.lines[t.row]; t.column < len(line) {
		t.lines[t.row] = line[:t.column]
	}
}

// screen returns what the terminal shows.
func (t *terminal) screen() [][]cell {
	from := max(0, len(t.lines)-t.rows)
	var out [][]cell
	for _, line := range t.lines[from:] {
		out = append(out, append([]cell(nil), line...))
	}
	return out
}
