package main

import (
	"time"

	"github.com/hapair/hapair/internal/install"
)

// wait runs f and shows a clock meanwhile, if stderr is a terminal: what takes longer than longStep must not look stuck. f may
// report what it waits for.
func (e *env) wait(step string, f func(waitFor func(string))) {
	p := newProgress(e.stderr, time.Now)
	if p.width == 0 {
		p.end()
		f(func(string) {})
		return
	}
	p.while(step, f)
}

// while shows a step that leaves no line behind.
func (p *progress) while(step string, f func(waitFor func(string))) {
	defer p.end()
	p.report(install.Progress{Step: step})
	f(func(what string) { p.report(install.Progress{Step: step, Line: what}) })
}
