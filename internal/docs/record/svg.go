package main

import (
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"time"
)

// Sizes of the picture, in its own units.
const (
	charWidth, lineHeight, fontSize, border = 7.2, 17.0, 12.0, 12.0
)

// colours of the styles that bake writes, on the background of a dark terminal.
var colours = map[int]string{31: "#ff7b72", 32: "#7ee787", 33: "#f2cc60", 36: "#79c0ff"}

// draw returns an animated picture without script: the frames lie below each other, and the picture moves from one to the next.
// Lines that several frames show are in it once. If a reader wants no animation, it shows the last frame.
func draw(frames []frame, title string, columns, rows int) []byte {
	width, height := float64(columns)*charWidth+2*border, float64(rows)*lineHeight+2*border
	var total time.Duration
	for _, f := range frames {
		total += f.lasts
	}
	var stops, defs, body strings.Builder
	var at time.Duration
	known := map[string]int{}
	for i, f := range frames {
		y := float64(i) * height
		fmt.Fprintf(&stops, "%.3f%%{transform:translateY(%.0fpx)}", 100*at.Seconds()/total.Seconds(), -y)
		at += f.lasts
		for row, line := range f.lines {
			text := spans(line)
			if text == "" {
				continue
			}
			id, has := known[text]
			if !has {
				id = len(known)
				known[text] = id
				fmt.Fprintf(&defs, "<text id=\"l%d\" xml:space=\"preserve\">%s</text>\n", id, text)
			}
			fmt.Fprintf(&body, "<use href=\"#l%d\" y=\"%.0f\"/>", id, y+border+float64(row+1)*lineHeight-4)
		}
		body.WriteString("\n")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"title\">\n", width, height)
	fmt.Fprintf(&b, "<title id=\"title\">%s</title>\n<style>\n", html.EscapeString(title))
	fmt.Fprintf(&b, "text{font:%.0fpx ui-monospace,\"DejaVu Sans Mono\",Menlo,Consolas,monospace;fill:#e6edf3}", fontSize)
	for _, style := range slices.Sorted(maps.Keys(colours)) {
		fmt.Fprintf(&b, ".c%d{fill:%s}", style, colours[style])
	}
	end := -float64(len(frames)-1) * height
	fmt.Fprintf(&b, "\n@keyframes play{%s100%%{transform:translateY(%.0fpx)}}\n", stops.String(), end)
	fmt.Fprintf(&b, ".play{animation:play %.2fs step-end infinite}\n", total.Seconds())
	fmt.Fprintf(&b, "@media (prefers-reduced-motion:reduce){.play{animation:none;transform:translateY(%.0fpx)}}\n</style>\n", end)
	fmt.Fprintf(&b, "<defs>\n%s</defs>\n<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#0d1117\"/>\n", defs.String())
	fmt.Fprintf(&b, "<g class=\"play\"><g transform=\"translate(%.0f 0)\">\n%s</g></g>\n</svg>\n", border, body.String())
	return []byte(b.String())
}

// spans returns the text of a line with its styles.
func spans(line []cell) string {
	var b strings.Builder
	style := 0
	var run strings.Builder
	flush := func() {
		text := html.EscapeString(run.String())
		if colours[style] != "" && text != "" {
			text = fmt.Sprintf("<tspan class=\"c%d\">%s</tspan>", style, text)
		}
		b.WriteString(text)
		run.Reset()
	}
	for _, c := range line {
		if c.style != style {
			flush()
			style = c.style
		}
		run.WriteRune(c.char)
	}
	flush()
	return strings.TrimRight(b.String(), " ")
}
