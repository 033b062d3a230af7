package haproxycfg

import (
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
)

// writer lays out sections, and marks each line with its origin in the spec.
type writer struct {
	b    strings.Builder
	path string // of the section's service or backend
	err  error
}

// section begins a section. Its lines have the origin path, unless they have their own.
func (w *writer) section(kind, name, path string) {
	w.path = path
	fmt.Fprintf(&w.b, "\n%s%s %s\n", srcmap.Field(path), kind, w.word(name))
}

// line writes a line of the section. on is the key in the service that the line comes from; empty: the whole service.
func (w *writer) line(on string, words ...string) {
	w.b.WriteString("   ")
	for _, word := range words {
		w.b.WriteByte(' ')
		w.b.WriteString(word)
	}
	if on != "" {
		w.b.WriteString(srcmap.Line(w.path + "." + on))
	}
	w.b.WriteByte('\n')
}

// text passes lines through. path is the path of the text in the spec.
func (w *writer) text(path, text string) {
	if laidOut := indent(text); laidOut != "" {
		w.b.WriteString(srcmap.Text(path, text) + laidOut + "\n" + srcmap.Field(w.path))
	}
}

// word returns a value that must be one word of haproxy.cfg.
func (w *writer) word(s string) string {
	out, err := word(s)
	if err != nil && w.err == nil {
		w.err = err
	}
	return out
}

// words returns a value of several plain words.
func (w *writer) words(s string) string {
	out, err := words(s)
	if err != nil && w.err == nil {
		w.err = err
	}
	return out
}

// tail returns words that are passed through at the end of a line.
func (w *writer) tail(s string) string {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "\n\r\x00") && w.err == nil {
		w.err = fmt.Errorf("%q is not one line", s)
	}
	return s
}

// span returns a time in haproxy's format.
func span(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= unit.size && d%unit.size == 0 {
			return fmt.Sprintf("%d%s", d/unit.size, unit.name)
		}
	}
	if d == 0 {
		return "0"
	}
	return fmt.Sprintf("%dms", d/time.Millisecond)
}

// usualTimeouts are the defaults of omitted timeouts.
var usualTimeouts = map[string]string{"connect": "5s", "client": "1m", "server": "1m", "tunnel": "1h",
	"http-request": "10s", "http-keep-alive": "10s", "queue": "1m", "check": "5s"}

// defaultTimeouts returns the lines of the defaults section.
func defaultTimeouts(t *spec.Timeouts) []string {
	given := map[string]spec.TimeoutField{}
	for _, f := range t.Fields() {
		given[f.Keyword] = f
	}
	var out []string
	for _, keyword := range []string{"connect", "client", "server", "tunnel", "http-request", "http-keep-alive", "queue", "check", "client-fin", "server-fin"} {
		value, mark := usualTimeouts[keyword], ""
		if f := given[keyword]; f.Value != nil {
			value, mark = span(*f.Value), srcmap.Line("haproxy.timeouts."+f.Key)
		}
		if value != "" {
			out = append(out, "timeout "+keyword+" "+value+mark)
		}
	}
	return out
}

// defaultTimes returns the words of the defaults section's default-server.
func defaultTimes(t spec.CheckTimes) string {
	if t.Interval == 0 {
		t.Interval = 2 * time.Second
	}
	return fmt.Sprintf("%s fall %d rise %d", intervals(t.Interval), or(t.Fall, 3), or(t.Rise, 2))
}

func or(n, usual int) int {
	if n == 0 {
		return usual
	}
	return n
}

// intervals returns the times between checks. While a server's state changes, checks are more frequent.
func intervals(every time.Duration) string {
	return "inter " + span(every) + " fastinter " + span(min(every, time.Second))
}
