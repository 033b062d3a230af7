// Package afternoon plays docs/afternoon.md: a new user installs bake, brings an old pair of two machines over to hapair, and
// switches the old machines off.
package afternoon

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// step is something to do that the page shows: a script on the operator's machine, or an action of the lab.
type step struct {
	title  string // the heading above it
	script string
	action string
	shown  string // the output on the page
	has    bool   // whether the page shows the output
	took   time.Duration
	output string
}

// blocks matches a heading, a script with the output below it, or an action of the lab in a comment.
var blocks = regexp.MustCompile("(?m)^## (.*)$|^```sh\n((?s:.*?))^```\n(?:\n```text\n((?s:.*?))^```\n)?|^<!-- lab: (.*) -->\n(?:```text\n((?s:.*?))^```\n)?")

// read returns the steps of a page.
func read(page string) []*step {
	var steps []*step
	title := ""
	for _, at := range blocks.FindAllStringSubmatchIndex(page, -1) {
		part := func(i int) string {
			if at[2*i] < 0 {
				return ""
			}
			return page[at[2*i]:at[2*i+1]]
		}
		if at[2] >= 0 {
			title = part(1)
			continue
		}
		steps = append(steps, &step{title: title, script: part(2), action: part(4), shown: part(3) + part(5), has: at[6] >= 0 || at[10] >= 0})
	}
	return steps
}

// write returns the page with the outputs and times of its steps.
func write(page string, steps []*step) string {
	i := 0
	page = blocks.ReplaceAllStringFunc(page, func(text string) string {
		if strings.HasPrefix(text, "## ") {
			return text
		}
		s := steps[i]
		i++
		if !s.has {
			return text
		}
		if s.action != "" {
			return "<!-- lab: " + s.action + " -->\n```text\n" + s.output + "```\n"
		}
		return "```sh\n" + s.script + "```\n\n```text\n" + s.output + "```\n"
	})
	return times.ReplaceAllLiteralString(page, "<!-- times -->\n"+table(steps)+"<!-- end -->")
}

var times = regexp.MustCompile(`(?s)<!-- times -->.*<!-- end -->`)

// table shows how long the steps of each section took.
func table(steps []*step) string {
	var b strings.Builder
	b.WriteString("\n| step | time |\n|---|---|\n")
	var total, section time.Duration
	for i, s := range steps {
		total, section = total+s.took, section+s.took
		if i+1 == len(steps) || steps[i+1].title != s.title {
			fmt.Fprintf(&b, "| %s | %s |\n", s.title, seconds(section))
			section = 0
		}
	}
	fmt.Fprintf(&b, "| all commands | %s |\n\n", seconds(total))
	return b.String()
}

func seconds(d time.Duration) string {
	if d >= time.Minute {
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d s", max(1, int(d.Seconds()+0.5)))
}

// varying matches what differs between two runs: which fault was the worst, times in one unit or the other, whether anything was
// lost, numbers, and the blanks that align columns.
var varying = regexp.MustCompile(`up to [0-9][^,;\n]*|[0-9][0-9.]* m?s\b|nothing lost|[0-9][0-9.]*(?: lost)?|[ -]{2,}`)

// same reports whether two outputs differ in such things alone.
func same(a, b string) bool {
	return varying.ReplaceAllString(a, "#") == varying.ReplaceAllString(b, "#")
}
