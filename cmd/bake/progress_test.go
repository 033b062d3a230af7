package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/install"
)

// steps reports the progress of a bake. A package prints control characters. The first step takes a second, and the second
// one more than a minute.
func steps(p *progress, now *time.Time) {
	wait := func(d time.Duration) {
		for range d / time.Second {
			*now = now.Add(time.Second)
			p.tick()
		}
	}
	p.report(install.Progress{Step: "get"})
	p.report(install.Progress{Step: "get", Fraction: 0.42})
	wait(time.Second)
	p.report(install.Progress{Step: "get", Done: true})
	wait(10 * time.Second) // nothing is shown between two steps
	p.report(install.Progress{Step: "install"})
	p.report(install.Progress{Step: "install", Line: "Setting up \x1b[2Jhaproxy"})
	if p.width > 0 {
		wait(3 * time.Second)
	} else {
		wait(63 * time.Second)
	}
	p.end()
}

// newTestProgress returns a progress whose clock only the test advances.
func newTestProgress(out *bytes.Buffer, width int) (*progress, *time.Time) {
	now := time.Unix(0, 0)
	return &progress{w: out, now: func() time.Time { return now }, width: width, stop: make(chan struct{})}, &now
}

func TestProgressInAFile(t *testing.T) {
	var out bytes.Buffer
	steps(newTestProgress(&out, 0))
	want := "   1.0s  get\n   2.0s  install ...\n  32.0s  install ...\n  62.0s  install ...\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var out bytes.Buffer
	steps(newTestProgress(&out, 30))
	const wipe = "\r\x1b[K"
	want := wipe + "         get" + wipe + "         get: 42 %" + wipe + "   1.0s  get\n" +
		wipe + "         install" + wipe + "         install: Setting up…" +
		wipe + "     2s  install: Setting up…" + wipe + "     3s  install: Setting up…" + wipe
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}
