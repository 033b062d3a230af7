package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressWhileWaiting(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := &progress{w: &out, now: func() time.Time { return now }, width: 60, stop: make(chan struct{})}
	p.while("ask 2 nodes", func(waitFor func(string)) {
		now = now.Add(5 * time.Second)
		waitFor("waiting for lb2")
		now = now.Add(time.Second)
		p.tick()
	})
	got := strings.Split(out.String(), "\r\x1b[K")
	want := []string{"", "         ask 2 nodes", "     5s  ask 2 nodes: waiting for lb2", "     6s  ask 2 nodes: waiting for lb2", ""}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("the terminal got %q, want %q", got, want)
	}
}
