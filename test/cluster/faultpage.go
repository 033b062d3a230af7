package cluster

import (
	"regexp"
	"slices"
	"strings"
)

// FaultPage is the page with the results of test/matrix and test/rollout.
const FaultPage = "../../docs/faults.md"

// Sections returns the second-level sections of a page, and the text before the first one.
func Sections(page string) (introduction string, sections []string) {
	parts := strings.Split("\n"+page, "\n## ")
	for _, section := range parts[1:] {
		sections = append(sections, "## "+strings.TrimSuffix(section, "\n")+"\n")
	}
	return strings.TrimPrefix(parts[0], "\n") + "\n", sections
}

// Replace replaces the section whose heading begins with title, or appends one.
func Replace(sections []string, title, section string) []string {
	i := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, title) })
	if i < 0 {
		return append(sections, section)
	}
	sections[i] = section
	return sections
}

// Cell formats a text for a table cell: short, and without details that differ between runs.
func Cell(text string) string {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "|", "\\|")), " ")
	text = regexp.MustCompile(`\[[A-Z]+\]\s+\(\d+\) : (config : )?|[0-9a-f]{64}|bad: `).ReplaceAllString(text, "")
	var once []string
	for _, sentence := range strings.Split(text, "; ") {
		if !slices.Contains(once, sentence) {
			once = append(once, sentence)
		}
	}
	text = strings.Join(once, "; ")
	if r := []rune(text); len(r) > 120 {
		text = strings.TrimSpace(string(r[:117])) + "…"
	}
	return text
}
