// Package srcmap stores the origin in the spec of each line of a rendered file. A template writes marks into the lines; Split
// removes them.
package srcmap

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Origin is the place in the spec that a line comes from. The zero Origin means that the line does not come from the spec.
type Origin struct {
	// Path of the value in the spec: services[1].balance.
	Path string
	// Text reports whether the value is a text that was passed through line by line.
	Text bool
	// Line is the line of that text, from 0.
	Line int
}

// A mark begins and ends with NUL, which neither a value nor a passed-through text can contain.
const (
	mark  = "\x00"
	field = 'f' // this line and all following ones, until the next mark
	line  = 'l' // only this line
	text  = 't' // the lines of a text, until the next mark
)

// Field marks the following lines as generated from the value at a path.
func Field(path string) string { return mark + string(field) + path + mark }

// Line marks one line as generated from the value at a path.
func Line(path string) string { return mark + string(line) + path + mark }

// Text marks the following lines as those of a text, without its leading empty lines.
func Text(path, content string) string {
	skipped := len(content) - len(strings.TrimLeft(content, "\n"))
	return mark + string(text) + strconv.Itoa(skipped) + " " + path + mark
}

// Split removes the marks and returns the origin of each line.
func Split(marked []byte) ([]byte, []Origin) {
	if bytes.Count(marked, []byte(mark)) == 0 {
		return marked, make([]Origin, bytes.Count(marked, []byte("\n"))+1)
	}
	out := make([]byte, 0, len(marked))
	origins := make([]Origin, 0, bytes.Count(marked, []byte("\n"))+1)
	var current Origin
	for l := range strings.SplitSeq(string(marked), "\n") {
		if len(origins) > 0 {
			out = append(out, '\n')
			if current.Text {
				current.Line++
			}
		}
		this := Origin{}
		for {
			plain, rest, marked := strings.Cut(l, mark)
			out = append(out, plain...)
			if !marked {
				break
			}
			var m string
			if m, l, _ = strings.Cut(rest, mark); m == "" {
				continue
			}
			if o := parse(m[1:], m[0] == text); m[0] == line {
				this = o
			} else {
				current = o
			}
		}
		if this.Path == "" {
			this = current
		}
		origins = append(origins, this)
	}
	return out, origins
}

func parse(s string, isText bool) Origin {
	if !isText {
		return Origin{Path: s}
	}
	o := Origin{Text: true}
	if _, err := fmt.Sscanf(s, "%d %s", &o.Line, &o.Path); err != nil {
		return Origin{}
	}
	return o
}
