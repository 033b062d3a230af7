// Package yamlsyntax improves the syntax errors of yaml.v3, which name a wrong line for some mistakes and never a column.
package yamlsyntax

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/lazyregexp"
)

var (
	prefix = lazyregexp.New(`^yaml: (?:line (\d+): )?`)
	// parserError matches messages of yaml.v3's parser, which counts lines from 0. Its scanner counts from 1.
	parserError = lazyregexp.New(`^did not find expected (?:<|node content|key|'-' indicator|',' or)`)
	// blockError matches messages with the line at which the block with the error begins.
	blockError = lazyregexp.New(`^did not find expected (?:key|'-' indicator)`)
)

// Error is a syntax error in a file.
type Error struct {
	Line          int // counted from 1
	Message, Hint string
	// Alias is the column, in characters from 1, of an alias without its anchor; 0: the error is another one. Such an alias may be
	// part of a secret that begins with "*".
	Alias int
}

// Explain returns the error that err, an error of yaml.v3, means for the lines of a file.
func Explain(err error, lines []string) Error {
	line, message := split(err)
	e := Error{Message: "not YAML: " + message}
	switch {
	case strings.Contains(message, "tab character"), strings.Contains(message, "cannot start any token"):
		line = indentedByTab(lines, line)
	case blockError().MatchString(message):
		line = firstBad(lines, line, message)
	}
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		// The name may be part of a value that needs quotes.
		name = strings.TrimSuffix(name, "' referenced")
		e.Message, e.Hint = "not YAML: an alias names an anchor that is not defined", "put a value that begins with * in quotes"
		line, e.Alias = find(lines, "*"+name)
	}
	if line <= len(lines) && strings.Contains(Indentation(lines[line-1]), "\t") {
		e.Hint = "indent with spaces"
	}
	e.Line = min(line, len(lines))
	return e
}

// split returns the line and the rest of a message; line 1 if it names none.
func split(err error) (line int, message string) {
	m := prefix().FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	message = err.Error()[len(m[0]):]
	line, err = strconv.Atoi(m[1])
	if err != nil {
		return 1, message
	}
	if parserError().MatchString(message) {
		line++
	}
	return line, message
}

// indentedByTab returns the first line that is indented by a tab, from a line on; that line itself if there is none.
func indentedByTab(lines []string, from int) int {
	for i := max(from-1, 0); i < min(from+1, len(lines)); i++ {
		if strings.Contains(Indentation(lines[i]), "\t") {
			return i + 1
		}
	}
	return from
}

// firstBad returns the line at which a block breaks: the lines above it parse without this error, and with it they do not.
func firstBad(lines []string, from int, message string) int {
	from = min(max(from, 1), len(lines))
	n := sort.Search(len(lines)-from, func(i int) bool {
		var tree yaml.Node
		err := yaml.Unmarshal([]byte(strings.Join(lines[:from+i], "\n")+"\n"), &tree)
		if err == nil {
			return false
		}
		_, got := split(err)
		return got == message
	})
	return from + n
}

// find returns the line and the column of the first occurrence of a text; line 1 and column 0 if there is none.
func find(lines []string, text string) (line, column int) {
	for i, line := range lines {
		if at := strings.Index(line, text); at >= 0 {
			return i + 1, utf8.RuneCountInString(line[:at]) + 1
		}
	}
	return 1, 0
}

// Indentation returns the spaces and tabs at the beginning of a line.
func Indentation(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }
