package drill

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Sizes in a chart, in pixels.
const (
	chartWidth  = 960.0
	chartLeft   = 150.0 // minimum width for the names of the rows
	chartRight  = 12.0
	chartTop    = 24.0 // for the marks
	rowHeight   = 20.0
	barHeight   = 13.0
	groupSpace  = 24.0 // for the name of a VIP
	axisSpace   = 22.0
	shortestBar = 1.5 // minimum width of a bar, so that it is visible

	// Maximum length of names in characters, because SVG cannot wrap text.
	longestRow = 30
	longestVIP = 80
)

// chart is a computed drawing. The page's template only writes its elements.
type chart struct {
	Width, Height float64
	Labels        []label
	Bars          []bar
	Ticks, Marks  []tick
	Break         float64 // where the scale changes; 0 means nowhere
	Top, Bottom   float64 // of the rows
	Left, Right   float64
}

type label struct {
	X, Y  float64
	Text  string
	Class string
	Full  string // the full text if Text is shortened
}

type bar struct {
	X, Y, W, H float64
	Class      string
	Title      string
}

type tick struct {
	X    float64
	Text string
}

// scale maps times to pixels. It is wide up to knee, because the reaction to a fault takes milliseconds, and narrow after
// that, because booting takes seconds.
type scale struct {
	from, knee, to Millis
	x0, xKnee, x1  float64
}

const kneeAt = 0.66 // as a part of the width

func newScale(r Run, left float64) scale {
	s := scale{from: r.From, to: r.To, x0: left, x1: chartWidth - chartRight}
	late := Millis(150)
	for _, v := range r.VIPs {
		late = max(late, v.Moved)
		for _, g := range v.Gaps {
			if g.From < r.Repaired {
				late = max(late, min(g.To, r.Repaired))
			}
		}
	}
	late = late*1.3 + 20
	s.from = max(s.from, -late*0.2)
	if s.from+(s.to-s.from)*kneeAt <= late { // otherwise it would not be wider than the rest
		s.knee, s.xKnee = s.to, s.x1
		return s
	}
	s.knee, s.xKnee = late, s.x0+(s.x1-s.x0)*kneeAt
	return s
}

func (s scale) x(m Millis) float64 {
	m = min(max(m, s.from), s.to)
	if m <= s.knee {
		return round(s.x0 + float64((m-s.from)/(s.knee-s.from))*(s.xKnee-s.x0))
	}
	return round(s.xKnee + float64((m-s.knee)/(s.to-s.knee))*(s.x1-s.xKnee))
}

func round(f float64) float64 { return math.Round(f*10) / 10 }

// timeline draws a run: who held each VIP, and which answers its client got.
func timeline(r Run, nodes []string) chart {
	s := newScale(r, leftOf(nodes))
	c := chart{Width: chartWidth, Top: chartTop, Left: s.x0, Right: s.x1}
	if s.knee < s.to {
		c.Break = s.xKnee
	}
	y := chartTop
	for _, v := range r.VIPs {
		c.Labels = append(c.Labels, label{8, y + 16, short(v.Name, longestVIP), "vip", v.Name})
		y += groupSpace
		for i, node := range nodes {
			c.row(y, node)
			for _, h := range v.Holdings {
				if h.Node == node {
					c.bar(s, y, h.Stretch, color(i), fmt.Sprintf("%s held %s from %s to %s", node, v.Name, show(h.From), show(h.To)))
				}
			}
			y += rowHeight
		}
		if v.Asked {
			c.row(y, "client")
			c.bar(s, y, Stretch{s.from, s.to}, "served", fmt.Sprintf("%d requests, %d lost", v.Requests, v.Lost))
			for _, l := range v.Losses {
				c.bar(s, y, l.Stretch, "loss", fmt.Sprintf("%d requests lost that were sent from %s to %s", l.Requests, show(l.From), show(l.To)))
			}
			for _, g := range v.Gaps {
				class := "late"
				if lossIn(v.Losses, g) {
					class = "gap"
				}
				c.bar(s, y, g, class, fmt.Sprintf("no answer for %s, from %s on", show(g.Length()), show(g.From)))
			}
			y += rowHeight
		}
	}
	c.Bottom = y
	c.Height = y + axisSpace
	c.Ticks = append(ticks(s, s.from, s.knee), ticks(s, s.knee, s.to)...)
	c.Marks = []tick{{s.x(0), "strike"}}
	if x := s.x(r.Repaired); x > s.x(0)+50 && x < s.x1-40 {
		c.Marks = append(c.Marks, tick{x, "repair"})
	}
	return c
}

// color returns the CSS class for what a node holds. If there are more nodes than colors, some nodes share one.
func color(node int) string { return fmt.Sprintf("node%d", node%6) }

// leftOf returns the space that rows with these names need.
func leftOf(names []string) float64 {
	left := chartLeft
	for _, name := range names {
		left = max(left, widthOf(short(name, longestRow))+18)
	}
	return left
}

// widthOf returns the approximate width of a row's text, for a rather wide font.
func widthOf(text string) float64 {
	width := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune("fijlrt.-", r):
			width += 5
		case strings.ContainsRune("mwMW…", r):
			width += 12
		default:
			width += 8
		}
	}
	return width
}

// short removes characters from the middle of a text that is too long, because host names often differ at the end.
func short(text string, longest int) string {
	letters := []rune(text)
	if len(letters) <= longest {
		return text
	}
	head := longest / 2
	return string(letters[:head]) + "…" + string(letters[len(letters)-(longest-head-1):])
}

// lossIn reports whether a request was lost in a gap. If none was lost, answers were only late because the machine was busy.
func lossIn(losses []Loss, g Stretch) bool {
	return slices.ContainsFunc(losses, func(l Loss) bool { return l.To >= g.From && l.From <= g.To })
}

func (c *chart) row(y float64, name string) {
	c.Labels = append(c.Labels, label{c.Left - 10, y + 11, short(name, longestRow), "row", name})
	c.Bars = append(c.Bars, bar{X: c.Left, Y: y, W: c.Right - c.Left, H: barHeight, Class: "track"})
}

func (c *chart) bar(s scale, y float64, at Stretch, class, title string) {
	if at.To < s.from || at.From > s.to {
		return
	}
	x := s.x(at.From)
	c.Bars = append(c.Bars, bar{X: x, Y: y, W: max(shortestBar, round(s.x(at.To)-x)), H: barHeight, Class: class, Title: title})
}

// ticks returns round times in a part of a scale, far enough apart to be readable.
func ticks(s scale, from, to Millis) []tick {
	const apart = 70.0
	width := s.x(to) - s.x(from)
	if width < apart {
		return nil
	}
	step := niceStep(float64(to-from) * apart / width)
	var out []tick
	for n := math.Ceil(float64(from) / step); n*step <= float64(to); n++ {
		m := Millis(n*step + 0) // avoids minus zero
		x := s.x(m)
		if s.knee < s.to && math.Abs(x-s.xKnee) < 22 || x > s.x1-12 {
			continue
		}
		text := fmt.Sprintf("%.0f ms", float64(m))
		if step >= 1000 || step >= 100 && to > 2000 {
			text = fmt.Sprintf("%.3g s", float64(m)/1000)
		}
		out = append(out, tick{x, text})
	}
	return out
}

// niceStep returns the smallest of 1, 2, 5, 10, 20, … that is not less than atLeast.
func niceStep(atLeast float64) float64 {
	for power := 1.0; ; power *= 10 {
		for _, n := range []float64{1, 2, 5} {
			if n*power >= atLeast {
				return n * power
			}
		}
	}
}

// overview draws the longest gap of every run by fault. The scale is logarithmic, because most gaps are below 100 ms but
// some take seconds.
func overview(r *Report) chart {
	c := chart{Width: chartWidth, Top: 6, Left: chartLeft, Right: chartWidth - chartRight - 60}
	if r.MaxGapMS > 0 {
		c.Top = chartTop // for its mark
	}
	const least = 1.0
	most := 1000.0
	for _, f := range r.Faults {
		for float64(f.GapWorst) > most {
			most *= 10
		}
	}
	for float64(r.MaxGapMS) > most {
		most *= 10
	}
	x := func(m Millis) float64 {
		share := math.Log10(max(float64(m), least)/least) / math.Log10(most/least)
		return round(c.Left + share*(c.Right-c.Left))
	}
	y := c.Top
	for _, f := range r.Faults {
		c.row(y, f.Name)
		if f.GapMedian > 0 {
			class := "served"
			if !f.Good {
				class = "gap"
			}
			c.Bars = append(c.Bars, bar{c.Left, y, max(shortestBar, round(x(f.GapMedian)-c.Left)), barHeight, class, "median " + show(f.GapMedian)})
			c.Labels = append(c.Labels, label{c.Right + 8, y + 11, show(f.GapMedian), "value", ""})
		}
		for _, run := range f.Runs {
			for _, v := range run.VIPs {
				if v.Struck && v.Asked {
					c.Bars = append(c.Bars, bar{round(x(v.Gap) - 1.5), y - 2, 3, barHeight + 4, "dot", fmt.Sprintf("%s: no answer for %s", v.Name, show(v.Gap))})
				}
			}
		}
		y += rowHeight
	}
	c.Bottom, c.Height = y, y+axisSpace
	for m := Millis(least); float64(m) <= most; m *= 10 {
		c.Ticks = append(c.Ticks, tick{x(m), show10(m)})
	}
	if r.MaxGapMS > 0 {
		c.Marks = []tick{{x(r.MaxGapMS), "limit"}}
	}
	return c
}

// show10 formats a power of ten in milliseconds.
func show10(m Millis) string {
	if m >= 1000 {
		return fmt.Sprintf("%.0f s", float64(m)/1000)
	}
	return fmt.Sprintf("%.0f ms", float64(m))
}
