package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/install"
)

// steps is how a bake reports, with a package that prints what would move a terminal's cursor.
func steps(p *progress) {
	p.report(install.Progress{Step: "get"})
	p.report(install.Progress{Step: "get", Fraction: 0.42})
	p.report(install.Progress{Step: "get", Done: true})
	p.report(install.Progress{Step: "install"})
	p.report(install.Progress{Step: "install", Line: "Setting up \x1b[2Jhaproxy"})
	p.end()
}

// clock runs a second at each look.
func clock() func() time.Time {
	now := time.Unix(0, 0)
	return func() time.Time { now = now.Add(time.Second); return now }
}

func TestProgressInAFile(t *testing.T) {
	var out bytes.Buffer
	steps(newProgress(&out, clock()))
	if want := "   1.0s  get\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, clock())
	p.width = 30
	steps(p)
	const wipe = "\r\x1b[K"
	want := wipe + "         get" + wipe + "         get: 42 %" + wipe + "   1.0s  get\n" +
		wipe + "         install" + wipe + "         install: Setting up " + wipe
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}
