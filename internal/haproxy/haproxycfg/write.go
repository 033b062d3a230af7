package haproxycfg

import (
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
)

// writer lays out sections, and marks each line with what in the spec it comes from.
type writer struct {
	b    strings.Builder
	path string // of the section's service or backend
	err  error
}

// section begins a section: all its lines come from path, unless they say otherwise.
func (w *writer) section(kind, name, path string) {
	w.path = path
	fmt.Fprintf(&w.b, "\n%s%s %s\n", srcmap.Field(path), kind, w.word(name))
}

// line writes a line of the section. on is the key in the section's service that it comes from; empty: the whole.
func (w *writer) line(on string, words ...string) {
	w.b.WriteString("    ")
	w.b.WriteString(strings.Join(words, " "))
	if on != "" {
		w.b.WriteString(srcmap.Line(w.path + "." + on))
	}
	w.b.WriteByte('\n')
}

// text passes lines through. path is that of the text in the spec.
func (w *writer) text(path, text string) {
	if laidOut := indent(text); laidOut != "" {
		w.b.WriteString(srcmap.Text(path, text) + laidOut + "\n" + srcmap.Field(w.path))
	}
}

// word is a value that must be one word of haproxy.cfg.
func (w *writer) word(s string) string {
	out, err := word(s)
	if err != nil && w.err == nil {
		w.err = err
	}
	return out
}

// words is a value of several plain words.
func (w *writer) words(s string) string {
	out, err := words(s)
	if err != nil && w.err == nil {
		w.err = err
	}
	return out
}

// tail is words that are passed through at the end of a line.
func (w *writer) tail(s string) string {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "\n\r\x00") && w.err == nil {
		w.err = fmt.Errorf("%q is not one line", s)
	}
	return s
}

// span is a time as haproxy writes it.
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

// usualTimeouts hold where the spec says nothing.
var usualTimeouts = map[string]string{"connect": "5s", "client": "1m", "server": "1m", "tunnel": "1h",
	"http-request": "10s", "http-keep-alive": "10s", "queue": "1m", "check": "5s"}

// defaultTimeouts are the lines of the defaults section.
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

// defaultTimes are the words of the defaults section's default-server.
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

// intervals are the times between checks: while a server's state changes, they come faster.
func intervals(every time.Duration) string {
	return "inter " + span(every) + " fastinter " + span(min(every, time.Second))
}
