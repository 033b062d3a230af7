package bench

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
)

// Sizes in a picture, in pixels.
const (
	pictureWidth = 900.0
	leftEdge     = 240.0
	rightEdge    = pictureWidth - 90
	barHeight    = 11.0
	barStep      = 14.0
	groupSpace   = 12.0
	legendStep   = 18.0
)

// style has colors for a light and a dark color scheme.
const style = `text{font:12px system-ui,"DejaVu Sans",sans-serif;fill:#1b2330}.soft{fill:#5d6776}.line{stroke:#dfe3e9}.mark{stroke:#1b2330;stroke-width:1.5}
.c0{fill:#2f6fd0}.c1{fill:#72a5ee}.c2{fill:#e0892b}.c3{fill:#8250c4}.c4{fill:#17899b}.c5{fill:#b5477d}.c6{fill:#6b7a1e}
@media(prefers-color-scheme:dark){text{fill:#e6eaf0}.soft{fill:#9aa5b4}.line{stroke:#2c3542}.mark{stroke:#e6eaf0}}`

type svg struct {
	XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
	Width   float64  `xml:"width,attr"`
	Height  float64  `xml:"height,attr"`
	ViewBox string   `xml:"viewBox,attr"`
	Style   string   `xml:"style"`
	Grid    []line   `xml:"g>line"` // behind the bars
	Rects   []rect   `xml:"rect"`
	Lines   []line   `xml:"line"`
	Texts   []text   `xml:"text"`
}

type rect struct {
	X      float64 `xml:"x,attr"`
	Y      float64 `xml:"y,attr"`
	Width  float64 `xml:"width,attr"`
	Height float64 `xml:"height,attr"`
	Class  string  `xml:"class,attr"`
}

type line struct {
	X1    float64 `xml:"x1,attr"`
	Y1    float64 `xml:"y1,attr"`
	X2    float64 `xml:"x2,attr"`
	Y2    float64 `xml:"y2,attr"`
	Class string  `xml:"class,attr"`
}

type text struct {
	X      float64 `xml:"x,attr"`
	Y      float64 `xml:"y,attr"`
	Anchor string  `xml:"text-anchor,attr,omitempty"`
	Class  string  `xml:"class,attr,omitempty"`
	Text   string  `xml:",chardata"`
}

// picture draws the medians as bars on a logarithmic scale. A line at the end of each bar shows the middle half of the
// values.
func (t *Table) picture() ([]byte, error) {
	s := newScale(t)
	p := svg{Style: style}
	y := 8.0
	columns := t.measured()
	for _, i := range columns {
		p.Rects = append(p.Rects, rect{leftEdge, y, barHeight, barHeight, class(i)})
		p.Texts = append(p.Texts, text{X: leftEdge + 18, Y: y + 10, Text: t.Columns[i]})
		y += legendStep
	}
	top := y
	for _, r := range t.Rows {
		if !r.measured() {
			continue
		}
		y += groupSpace
		p.Texts = append(p.Texts, text{X: leftEdge - 10, Y: y + barStep*float64(len(columns))/2 + 3, Anchor: "end", Text: r.Name})
		for _, i := range columns {
			p.bar(s, y, i, r.Cells[i])
			y += barStep
		}
	}
	for at := s.least; at <= s.most*1.001; at *= 10 {
		x := s.x(at)
		p.Grid = append(p.Grid, line{x, top + 4, x, y + 6, "line"})
		p.Texts = append(p.Texts, text{X: x, Y: y + 20, Anchor: "middle", Class: "soft", Text: fmt.Sprintf("%g", at)})
	}
	p.Texts = append(p.Texts, text{X: rightEdge + 40, Y: y + 20, Class: "soft", Text: t.Unit})
	p.Width, p.Height = pictureWidth, y+30
	p.ViewBox = fmt.Sprintf("0 0 %g %g", p.Width, p.Height)
	return xml.MarshalIndent(p, "", " ")
}

// drawn reports whether there are values to draw.
func (t *Table) drawn() bool { return slices.ContainsFunc(t.Rows, Row.measured) }

// measured returns the columns that have values.
func (t *Table) measured() []int {
	var out []int
	for i := range t.Columns {
		if slices.ContainsFunc(t.Rows, func(r Row) bool { return len(r.Cells[i].Values) > 0 }) {
			out = append(out, i)
		}
	}
	return out
}

// measured reports whether a cell has values, and not only a note.
func (r Row) measured() bool {
	return slices.ContainsFunc(r.Cells, func(c Sample) bool { return len(c.Values) > 0 })
}

func class(column int) string { return fmt.Sprintf("c%d", column%7) }

func (p *svg) bar(s scale, y float64, column int, c Sample) {
	if len(c.Values) == 0 {
		p.Texts = append(p.Texts, text{X: leftEdge + 4, Y: y + 10, Class: "soft", Text: "–"})
		return
	}
	value, label := c.Median(), number(c.Median())
	if c.Note != "" {
		label += ", " + c.Note
	}
	end := s.x(value)
	if c.AtLeast {
		value, label = c.Worst(), "never"
		end = s.x(value)
	}
	p.Rects = append(p.Rects, rect{leftEdge, y, math.Max(1.5, end-leftEdge), barHeight, class(column)})
	if !c.AtLeast {
		p.Lines = append(p.Lines, line{s.x(c.quantile(0.25)), y + barHeight/2, s.x(c.quantile(0.75)), y + barHeight/2, "mark"})
		end = math.Max(end, s.x(c.quantile(0.75)))
	}
	p.Texts = append(p.Texts, text{X: end + 6, Y: y + 10, Text: label})
}

// scale maps values to pixels. All powers of ten have the same width.
type scale struct{ least, most float64 }

func newScale(t *Table) scale {
	least, most := math.Inf(1), 0.0
	for _, r := range t.Rows {
		for _, c := range r.Cells {
			for _, v := range c.Values {
				if v > 0 {
					least, most = math.Min(least, v), math.Max(most, v)
				}
			}
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	s := scale{math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most)))}
	if s.most <= s.least {
		s.most = s.least * 10
	}
	return s
}

func (s scale) x(v float64) float64 {
	share := math.Log10(math.Max(v, s.least)/s.least) / math.Log10(s.most/s.least)
	return math.Round((leftEdge+share*(rightEdge-leftEdge))*10) / 10
}
