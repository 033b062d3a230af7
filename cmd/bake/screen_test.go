package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/drill"
)

// lockedBuffer can be written and read by different goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func liveCrash() (drill.Live, time.Time) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return drill.Live{
		Doing: "node-crash, 3 of 9: node's power cut", Since: now.Add(-300 * time.Millisecond),
		Nodes: []drill.LiveNode{{Name: "lb1", State: "off"}, {Name: "other", State: "on", Holds: []string{"www"}, Rate: 199.6, Gap: 4.2}},
		Why:   []string{"haproxy does not answer on lb1"},
		VIPs:  []drill.LiveVIP{{Name: "db", Gap: 290}, {Name: "api", Holders: []string{"lb1", "other"}}},
	}, now
}

func TestStanding(t *testing.T) {
	for columns, want := range map[int]string{
		80: `node-crash, 3 of 9: node's power cut (0.3 s)
  lb1    off   
  other  on       200 requests/s  gap      4 ms  holds www
  haproxy does not answer on lb1
  no node holds db  gap 290 ms
  lb1 and other hold api  gap 0 ms`,
		40: `node-crash, 3 of 9: node's power cut (0.3 s)
  lb1    off   
  other  on       200/s     4 ms  www
  haproxy does not answer on lb1
  no node holds db  gap 290 ms
  lb1 and other hold api  gap 0 ms`,
	} {
		l, now := liveCrash()
		if got := strings.Join(standing(l, now, columns), "\n"); got != want {
			t.Errorf("in %d columns: got\n%s\nwant\n%s", columns, got, want)
		}
	}
}

// On a terminal, new live lines replace the old ones, and a permanent line comes above them.
func TestScreenOnATerminal(t *testing.T) {
	var b bytes.Buffer
	l, now := liveCrash()
	s := &screen{w: &b, now: func() time.Time { return now }, width: 20}
	s.show(l)
	s.line("happened")
	s.doing("a\x1b[2Jb and what does not fit")
	s.end()
	s.show(l)
	want := "node-crash, 3 of 9…\n  lb1    off   \n  other  on       …\n  haproxy does not…\n  no node holds db…\n  lb1 and other ho…\n" +
		"\x1b[6A\x1b[Jhappened\na\\u001b[2Jb and wh…\n\x1b[1A\x1b[J"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

func TestScreenElsewhere(t *testing.T) {
	var b bytes.Buffer
	s := newScreen(&b)
	l, _ := liveCrash()
	s.show(l)
	s.doing("baking")
	s.line("happened")
	s.end()
	if s.live() || b.String() != "happened\n" {
		t.Errorf("live %v: %q", s.live(), b.String())
	}
}
