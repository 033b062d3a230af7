package drill

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/lab"
)

// Millis is a time in milliseconds. In a timeline it is relative to the strike.
type Millis float64

func millis(d time.Duration) Millis {
	return Millis(math.Round(float64(d)/float64(100*time.Microsecond)) / 10)
}

// Duration converts it to a time.Duration.
func (m Millis) Duration() time.Duration {
	return time.Duration(float64(m) * float64(time.Millisecond))
}

// Stretch is a part of a timeline.
type Stretch struct {
	From Millis `json:"from_ms"`
	To   Millis `json:"to_ms"`
}

// Length returns the length of the stretch.
func (s Stretch) Length() Millis { return s.To - s.From }

// Holding is a stretch during which a node held the VIP.
type Holding struct {
	Node string `json:"node"`
	Stretch
}

// visible is the shortest gap that a timeline shows. Shorter ones are caused by the machine.
const visible = 30 * time.Millisecond

// window is a part of a run in clock time.
type window struct{ from, strike, to time.Time }

func (w window) at(t time.Time) Millis { return millis(t.Sub(w.strike)) }

// clip returns the part of a stretch that is in the window, or false if there is none.
func (w window) clip(from, to time.Time) (Stretch, bool) {
	if from.Before(w.from) {
		from = w.from
	}
	if to.IsZero() || to.After(w.to) {
		to = w.to
	}
	return Stretch{w.at(from), w.at(to)}, to.After(from)
}

// holdings returns who held a VIP in the window, ordered by start.
func (w window) holdings(spans []lab.Span) []Holding {
	var out []Holding
	for _, s := range spans {
		if stretch, ok := w.clip(s.From, s.To); ok {
			out = append(out, Holding{s.Host, stretch})
		}
	}
	slices.SortStableFunc(out, func(a, b Holding) int { return cmp.Compare(a.From, b.From) })
	return out
}

// gaps returns the visible gaps between answers, and the longest gap, visible or not, that ended after the strike.
func (w window) gaps(answers []time.Time) (gaps []Stretch, longest Millis) {
	sorted := slices.SortedFunc(slices.Values(answers), time.Time.Compare)
	last := w.from
	for _, a := range append(sorted, w.to) {
		if a.Before(w.from) || a.After(w.to) {
			continue
		}
		if a.After(w.strike) {
			longest = max(longest, millis(a.Sub(last)))
		}
		if a.Sub(last) >= visible {
			gaps = append(gaps, Stretch{w.at(last), w.at(a)})
		}
		last = a
	}
	return gaps, longest
}

// Loss is a stretch in which requests were lost: several of them, sent in a short time.
type Loss struct {
	Stretch
	Requests int `json:"requests"`
}

// losses groups lost requests that were sent shortly after one another.
func (w window) losses(failures []time.Time) []Loss {
	var out []Loss
	for _, f := range slices.SortedFunc(slices.Values(failures), time.Time.Compare) {
		if f.Before(w.from) || f.After(w.to) {
			continue
		}
		at := w.at(f)
		if n := len(out); n > 0 && at-out[n-1].To <= millis(visible) {
			out[n-1].To = at
			out[n-1].Requests++
			continue
		}
		out = append(out, Loss{Stretch{at, at}, 1})
	}
	return out
}

// overlap returns the longest time during which more than one node held the VIP.
func overlap(holdings []Holding) Millis {
	var longest Millis
	for i, a := range holdings {
		for _, b := range holdings[i+1:] {
			if a.Node != b.Node {
				longest = max(longest, min(a.To, b.To)-max(a.From, b.From))
			}
		}
	}
	return longest
}

// since returns the parts of holdings after a time.
func since(from Millis, holdings []Holding) []Holding {
	var out []Holding
	for _, h := range holdings {
		if h.From = max(h.From, from); h.To > h.From {
			out = append(out, h)
		}
	}
	return out
}

// holdersAt returns the nodes that held the VIP at a time, ordered by start.
func holdersAt(holdings []Holding, at Millis) []string {
	var out []string
	for _, h := range holdings {
		if h.From <= at && at < h.To {
			out = append(out, h.Node)
		}
	}
	return out
}

// newHolder returns when, after the strike, a node other than the struck one began to hold the VIP.
func newHolder(holdings []Holding, struck string) (Millis, bool) {
	for _, h := range holdings {
		if h.Node != struck && h.From >= 0 {
			return h.From, true
		}
	}
	return 0, false
}

// alone returns from when on the VIP had the same single holder until the end.
func alone(holdings []Holding) (Millis, bool) {
	if len(holdings) == 0 {
		return 0, false
	}
	end := slices.MaxFunc(holdings, func(a, b Holding) int { return cmp.Compare(a.To, b.To) }).To
	var holder *Holding
	for i := range holdings {
		if holdings[i].To < end {
			continue
		}
		if holder != nil {
			return 0, false
		}
		holder = &holdings[i]
	}
	since := holder.From
	for _, h := range holdings {
		if h.Node != holder.Node {
			since = max(since, h.To)
		}
	}
	return since, true
}

func median(values []Millis) Millis {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return Millis(math.Round(float64(sorted[middle-1]+sorted[middle])*5) / 10)
}
