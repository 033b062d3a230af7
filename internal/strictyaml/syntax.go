package strictyaml

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/lazyregexp"
)

var (
	syntaxLine = lazyregexp.New(`^yaml: (?:line (\d+): )?`)
	// parserError matches messages of yaml.v3's parser, which counts lines from 0. Its scanner counts from 1.
	parserError = lazyregexp.New(`^did not find expected (?:<|node content|key|'-' indicator|',' or)`)
	// blockError matches messages with the line at which the block with the error begins.
	blockError = lazyregexp.New(`^did not find expected (?:key|'-' indicator)`)
)

// syntax reports an error of yaml.v3, which names a line at most.
func (d *Document) syntax(err error, data []byte) {
	line, message := splitSyntax(err)
	switch {
	case strings.Contains(message, "tab character"), strings.Contains(message, "cannot start any token"):
		line = d.indentedByTab(line)
	case blockError().MatchString(message):
		line = firstBad(d.lines, line, message)
	}
	hint := ""
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		// The name may be part of a value that needs quotes.
		name = strings.TrimSuffix(name, "' referenced")
		message, hint = "an alias names an anchor that is not defined", "put a value that begins with * in quotes"
		line = d.lineOf("*" + name)
	}
	if line <= len(d.lines) && strings.Contains(indentOf(d.lines[line-1]), "\t") {
		hint = "indent with spaces"
	}
	d.at(diag.Error, place{min(line, len(d.lines)), 1}, "", "not YAML: "+message, hint)
}

// splitSyntax returns the line and the rest of a message; line 1 if it names none.
func splitSyntax(err error) (line int, message string) {
	m := syntaxLine().FindStringSubmatch(err.Error())
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
func (d *Document) indentedByTab(from int) int {
	for i := max(from-1, 0); i < min(from+1, len(d.lines)); i++ {
		if strings.Contains(indentOf(d.lines[i]), "\t") {
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
		_, got := splitSyntax(err)
		return got == message
	})
	return from + n
}

// lineOf returns the number of the first line that holds a text, or 1.
func (d *Document) lineOf(text string) int {
	for i, line := range d.lines {
		if at := strings.Index(line, text); at >= 0 {
			d.maskValue(&yaml.Node{Line: i + 1, Column: utf8.RuneCountInString(line[:at]) + 1})
			return i + 1
		}
	}
	return 1
}
