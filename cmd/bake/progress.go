package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/termsafe"
)

// progress shows how a bake goes on: a line for each step that is done, and on a terminal a live one for what is under way.
type progress struct {
	w     io.Writer
	now   func() time.Time
	width int // of the terminal; 0: none
	begun time.Time
	open  bool // a live line stands
}

func newProgress(w io.Writer, now func() time.Time) *progress {
	p := &progress{w: w, now: now}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.width = 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			p.width = width
		}
	}
	return p
}

func (p *progress) report(e install.Progress) {
	switch {
	case e.Done:
		p.clear()
		fmt.Fprintf(p.w, "%6.1fs  %s\n", p.now().Sub(p.begun).Seconds(), e.Step)
	case e.Fraction > 0:
		p.live(fmt.Sprintf("%s: %d %%", e.Step, int(e.Fraction*100)))
	case e.Line != "":
		p.live(e.Step + ": " + e.Line)
	default:
		p.begun = p.now()
		p.live(e.Step)
	}
}

// live draws over the line that stands. Without a terminal there is none.
func (p *progress) live(text string) {
	if p.width == 0 {
		return
	}
	line := []rune("         " + termsafe.Line(text)) // what a package prints must not steer the terminal
	if len(line) > p.width-1 {
		line = line[:p.width-1]
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", string(line))
	p.open = true
}

func (p *progress) clear() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}

// end leaves the terminal clean for what comes next.
func (p *progress) end() { p.clear() }
