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
	// longStep is how long a step may take before its time is shown.
	longStep = 2 * time.Second
	// repeatStep is how often a step that goes on is repeated where there is no terminal.
	repeatStep = 30 * time.Second
	// tickStep is how often a terminal's clock moves on.
	tickStep = time.Second
)

// progress shows how a bake goes on: a line for each step that is done. A step that takes longer than longStep has a clock:
// in a live line on a terminal, in plain lines elsewhere.
type progress struct {
	w     io.Writer
	now   func() time.Time
	width int // of the terminal; 0: none
	stop  chan struct{}

	mu    sync.Mutex
	step  string // under way; empty: none
	text  string // of the live line
	begun time.Time
	shown time.Time // when the step's last plain line was written
	open  bool      // a live line stands
}

// newProgress shows progress until end.
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

// tick moves the clock of a step on.
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

// line writes a line that stays.
func (p *progress) line(elapsed time.Duration, text string) {
	fmt.Fprintf(p.w, "%6.1fs  %s\n", elapsed.Seconds(), text)
}

// live draws over the line that stands. Without a terminal there is none.
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

// end leaves the terminal clean for what comes next. It must be called once.
func (p *progress) end() {
	close(p.stop)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.step = ""
}
