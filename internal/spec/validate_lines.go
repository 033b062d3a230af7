package spec

import (
	"fmt"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/haproxy/syntax"
	"github.com/hapair/hapair/internal/release"
)

// serviceLines validates the lines that a service passes through. haproxy checks their meaning.
func (c check) serviceLines(svc *Service, path string) {
	path += ".lines"
	c.section(path+".frontend", "frontend", svc.Lines.Frontend)
	c.section(path+".backend", "backend", svc.Lines.Backend)
	c.words(path+".server", "default-server", svc.Lines.Server)
	c.words(path+".bind", "bind address", svc.Lines.Bind)
}

// section validates lines of a service's section: they must not begin another section.
func (c check) section(path, kind, text string) {
	if c.HasError(path) {
		return
	}
	if strings.ContainsRune(text, 0) {
		c.Problem(path, "contains a NUL character", "")
	}
	n := 0
	for line := range strings.Lines(text) {
		if w := syntax.Words(line); len(w) > 0 && syntax.IsSection(w[0]) {
			c.ProblemInText(diag.Error, path, n, fmt.Sprintf("line %d begins a section %q", n+1, w[0]), "write whole sections into haproxy.extra")
			return
		}
		n++
	}
	c.keywords(diag.Error, path, kind, text)
}

// words validates text for the end of a line that begins with head.
func (c check) words(path, head, text string) {
	if text == "" || c.HasError(path) {
		return
	}
	switch trimmed := strings.TrimSpace(text); {
	case strings.ContainsAny(trimmed, "\n\r\x00"):
		c.Problem(path, "must be one line", "")
	case len(syntax.Words(trimmed+" end")) == len(syntax.Words(trimmed)):
		c.Problem(path, "contains a comment, or an open quote or escape", "")
	default:
		c.keywords(diag.Error, path, "frontend", head+" "+trimmed)
	}
}

// keywords reports keywords that the release's haproxy does not have, in lines of a section, or of whole sections if section is
// "".
func (c check) keywords(severity diag.Severity, path, section, text string) {
	r, err := release.Get(c.s.Image.Release)
	if err != nil {
		return // already reported
	}
	whole, n := section == "", -1
	for line := range strings.Lines(text) {
		n++
		w := syntax.Words(line)
		if len(w) == 0 {
			continue
		}
		in := section
		if whole && syntax.IsSection(w[0]) {
			section, in = w[0], ""
		}
		name, have := r.Lacks(in, w, line)
		if name == "" {
			continue
		}
		c.ProblemInText(severity, path, n, fmt.Sprintf("haproxy %s of %s has no %q", r.HAProxy, r.Title, name), haveIt(have))
	}
}

// haveIt returns a hint with the releases that have a keyword.
func haveIt(releases []release.Release) string {
	var names []string
	for _, r := range releases {
		names = append(names, r.Name)
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return "image.release: " + names[0] + " has it"
	}
	return "image.release: " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " have it"
}
