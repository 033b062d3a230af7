package cluster

import (
	"fmt"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/lab"
)

// Loss is what a client observed.
type Loss struct {
	Asked, Lost int
	Gap         time.Duration // the longest time between two answers
	Last        error         // of the last request that was lost
}

// LossOf returns what a client observed.
func LossOf(w lab.WatchReport) Loss {
	l := Loss{Asked: w.Failures, Lost: w.Failures, Gap: w.Longest.Duration(), Last: w.LastErr}
	for _, n := range w.Answers {
		l.Asked += n
	}
	return l
}

func (l Loss) String() string {
	return fmt.Sprintf("%d of %d, %d ms", l.Lost, l.Asked, l.Gap.Milliseconds())
}

// Moves is what became of a VIP.
type Moves struct {
	Count      int
	None, Both time.Duration // how long it had no holder at a time, and how long two
}

// MovesOf returns what became of a VIP since began, when a host held it.
func MovesOf(holders *lab.Holders, began time.Time, host string) Moves {
	var spans []lab.Span
	now := time.Now()
	for _, s := range holders.Spans() {
		if s.To.IsZero() {
			s.To = now
		}
		if s.To.After(began) {
			spans = append(spans, s)
		}
	}
	var m Moves
	covered, last := began, host
	for _, s := range spans {
		m.None = max(m.None, s.From.Sub(covered))
		if s.To.After(covered) {
			covered = s.To
		}
		// If another host had the VIP during the whole span, the VIP did not move: a second host took it for a moment.
		within := slices.ContainsFunc(spans, func(o lab.Span) bool { return o.Host != s.Host && !o.From.After(s.From) && !o.To.Before(s.To) })
		if s.Host != last && !within {
			m.Count++
			last = s.Host
		}
	}
	m.Both = holders.Overlap(began)
	return m
}

func (m Moves) String() string {
	text := "stayed"
	switch {
	case m.Count == 1:
		text = "moved"
	case m.Count > 1:
		text = fmt.Sprintf("moved %d times", m.Count)
	}
	if m.None >= time.Millisecond {
		text += fmt.Sprintf("; none for %d ms", m.None.Milliseconds())
	}
	if m.Both >= time.Millisecond {
		text += fmt.Sprintf("; both for %d ms", m.Both.Milliseconds())
	}
	return text
}
