package main

import (
	"time"

	"github.com/hapair/hapair/internal/install"
)

// wait runs f. If stderr is a terminal, it shows a clock meanwhile, so that a step that takes longer than longStep does not
// look stuck. f can report what it waits for.
func (e *env) wait(step string, f func(waitFor func(string))) {
	p := newProgress(e.stderr, time.Now)
	if p.width == 0 {
		p.end()
		f(func(string) {})
		return
	}
	p.while(step, f)
}

// while shows a step without leaving a line behind.
func (p *progress) while(step string, f func(waitFor func(string))) {
	defer p.end()
	p.report(install.Progress{Step: step})
	f(func(what string) { p.report(install.Progress{Step: step, Line: what}) })
}
