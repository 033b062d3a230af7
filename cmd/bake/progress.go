package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hapair/hapair/internal/install"
)

const (
	// longStep is the time after which the duration of a step is shown.
	longStep = 2 * time.Second
	// repeatStep is the interval at which the line of a running step is repeated if there is no terminal.
	repeatStep = 30 * time.Second
	// tickStep is the interval at which the clock on a terminal is updated.
	tickStep = time.Second
)

// progress prints the progress of a bake: a line for each finished step. A step that takes longer than longStep has a clock:
// on a terminal in a line that is redrawn, elsewhere in plain lines.
type progress struct {
	w     io.Writer
	now   func() time.Time
	width int // of the terminal; 0 if there is none
	stop  chan struct{}

	mu    sync.Mutex
	step  string // the running step; empty if there is none
	text  string // of the live line
	begun time.Time
	shown time.Time // when the step's last plain line was written
	open  bool      // whether there is a live line on the terminal
}

// newProgress starts to show progress. It ends with end.
func newProgress(w io.Writer, now func() time.Time) *progress {
	p := &progress{w: w, now: now, stop: make(chan struct{})}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.width = 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			p.width = width
		}
	}
	go func() {
		tick := time.NewTicker(tickStep)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.tick()
			case <-p.stop:
				return
			}
		}
	}()
	return p
}

func (p *progress) report(e install.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case e.Done:
		p.clear()
		p.line(p.now().Sub(p.begun), e.Step)
		p.step = ""
	case e.Fraction > 0:
		p.live(fmt.Sprintf("%s: %d %%", e.Step, int(e.Fraction*100)))
	case e.Line != "":
		p.live(e.Step + ": " + e.Line)
	default:
		p.step, p.begun, p.shown = e.Step, p.now(), time.Time{}
		p.live(e.Step)
	}
}

// tick updates the clock of a step.
func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	elapsed := p.now().Sub(p.begun)
	if p.step == "" || elapsed < longStep {
		return
	}
	if p.width > 0 {
		p.live(p.text)
		return
	}
	if p.shown.IsZero() || p.now().Sub(p.shown) >= repeatStep {
		p.shown = p.now()
		p.line(elapsed, p.step+" ...")
	}
}

// line prints a permanent line.
func (p *progress) line(elapsed time.Duration, text string) {
	fmt.Fprintf(p.w, "%6.1fs  %s\n", elapsed.Seconds(), text)
}

// live redraws the live line. It does nothing without a terminal.
func (p *progress) live(text string) {
	p.text = text
	if p.width == 0 {
		return
	}
	clock := strings.Repeat(" ", 9)
	if elapsed := p.now().Sub(p.begun); elapsed >= longStep {
		clock = fmt.Sprintf("%6.0fs  ", elapsed.Seconds())
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", printable(clock+text, p.width-1))
	p.open = true
}

func (p *progress) clear() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}

// end removes the live line and stops the clock. It must be called once.
func (p *progress) end() {
	close(p.stop)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.step = ""
}
