package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hapair/hapair/internal/drill"
	"github.com/hapair/hapair/internal/termsafe"
)

// screen shows the progress of a drill: a line for each event and, on a terminal, the current state below, which is redrawn
// each time.
type screen struct {
	w     io.Writer
	now   func() time.Time
	width int // of the terminal; 0 if there is none

	mu    sync.Mutex
	stand int // number of live lines on the terminal
	ended bool
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, now: time.Now}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.width = 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			s.width = width
		}
	}
	return s
}

func (s *screen) live() bool { return s.width > 0 }

// line prints a permanent line.
func (s *screen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintln(s.w, termsafe.Text(text)) // the text may quote a node's journal
}

// doing shows the current activity, on a terminal.
func (s *screen) doing(text string) { s.draw([]string{text}) }

// show draws the current state.
func (s *screen) show(l drill.Live) { s.draw(standing(l, s.now(), s.width)) }

// standing returns the live lines: the current activity and its duration, each node, what the drill waits for, and each VIP
// that no node or more than one node holds.
func standing(l drill.Live, now time.Time, columns int) []string {
	holding := "  %4.0f requests/s  gap %6.0f ms  holds %s"
	if columns < 70 {
		holding = "  %4.0f/s %5.0f ms  %s"
	}
	var lines []string
	if l.Doing != "" {
		lines = append(lines, fmt.Sprintf("%s (%.1f s)", l.Doing, now.Sub(l.Since).Seconds()))
	}
	width := 0
	for _, n := range l.Nodes {
		width = max(width, len(n.Name))
	}
	for _, n := range l.Nodes {
		line := fmt.Sprintf("  %-*s  %-6s", width, n.Name, n.State)
		if len(n.Holds) > 0 {
			line += fmt.Sprintf(holding, n.Rate, float64(n.Gap), strings.Join(n.Holds, ", "))
		}
		lines = append(lines, line)
	}
	for _, why := range l.Why {
		lines = append(lines, "  "+why)
	}
	for _, v := range l.VIPs {
		who := "no node holds " + v.Name
		if len(v.Holders) > 0 {
			who = strings.Join(v.Holders, " and ") + " hold " + v.Name
		}
		lines = append(lines, fmt.Sprintf("  %s  gap %.0f ms", who, float64(v.Gap)))
	}
	return lines
}

func (s *screen) draw(lines []string) {
	if s.width == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%s\n", printable(line, s.width-1))
	}
	s.clear()
	_, _ = io.WriteString(s.w, b.String())
	s.stand = len(lines)
}

// clear removes the live lines. The caller holds the lock.
func (s *screen) clear() {
	if s.stand > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.stand)
		s.stand = 0
	}
}

// end removes the live lines from the terminal.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.ended = true
}

// printable returns text as one line for a terminal of the given width, without control characters: output of a package must
// not control the terminal.
func printable(text string, width int) string {
	line := []rune(termsafe.Line(text))
	if len(line) <= width {
		return string(line)
	}
	return string(line[:max(width-1, 0)]) + "…"
}
