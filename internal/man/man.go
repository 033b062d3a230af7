// Package man writes manual pages in the format of man(7).
package man

import (
	"fmt"
	"io"
	"strings"

	"github.com/hapair/hapair/internal/version"
)

// Page is a manual page.
type Page struct {
	Name    string // bake-validate
	Section int
	Short   string // one line, which apropos(1) shows
	// Synopsis has the command lines.
	Synopsis []string
	// Description is plain text. Blank lines separate paragraphs, and indented lines are kept as they are.
	Description string
	Commands    []Item
	Options     []Item
	Examples    string // command lines
	Exit        []Item // exit statuses
	SeeAlso     []string
}

// Item is an entry of a list: a command, an option, an exit status.
type Item struct{ Term, Text string }

// ExitStatus is what the exit statuses of all programs mean.
var ExitStatus = []Item{
	{"0", "success"},
	{"1", "a negative result, such as an invalid spec or an unhealthy node"},
	{"2", "wrong usage"},
	{"3", "the command could not be carried out"},
}

// Write writes the page.
func (p Page) Write(w io.Writer) error {
	var b strings.Builder
	// Without a date, because the page is part of packages that anybody must be able to build again.
	fmt.Fprintf(&b, ".TH %s %d \"\" \"hapair %s\" \"hapair\"\n", quoted(strings.ToUpper(p.Name)), p.Section, version.Version)
	b.WriteString(".SH NAME\n" + escape(p.Name) + ` \- ` + escape(p.Short) + "\n")
	b.WriteString(".SH SYNOPSIS\n")
	for i, line := range p.Synopsis {
		if i > 0 {
			b.WriteString(".br\n")
		}
		b.WriteString(".B " + escape(line) + "\n")
	}
	if p.Description != "" {
		b.WriteString(".SH DESCRIPTION\n")
		text(&b, p.Description)
	}
	items(&b, "COMMANDS", p.Commands)
	items(&b, "OPTIONS", p.Options)
	if p.Examples != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n" + escape(strings.TrimRight(p.Examples, "\n")) + "\n.fi\n")
	}
	items(&b, "EXIT STATUS", p.Exit)
	if len(p.SeeAlso) > 0 {
		b.WriteString(".SH SEE ALSO\n" + escape(strings.Join(p.SeeAlso, ", ")) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func items(b *strings.Builder, title string, list []Item) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, i := range list {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", escape(i.Term), escape(i.Text))
	}
}

// text writes paragraphs.
func text(b *strings.Builder, s string) {
	for i, paragraph := range strings.Split(strings.Trim(s, "\n"), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		asIs := false
		for line := range strings.Lines(paragraph) {
			if indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"); indented != asIs {
				asIs = indented
				b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[indented])
			}
			b.WriteString(escape(strings.TrimRight(line, "\n")) + "\n")
		}
		if asIs {
			b.WriteString(".fi\n")
		}
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

// escape makes text literal: no character begins an escape sequence, no line begins a request, and hyphens can be copied.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
