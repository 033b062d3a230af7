package spec

import (
	"fmt"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// serviceLines validates the lines that a service passes through. haproxy itself judges what they say.
func (c check) serviceLines(svc *Service, path string) {
	path += ".lines"
	c.section(path+".frontend", svc.Lines.Frontend)
	c.section(path+".backend", svc.Lines.Backend)
	c.words(path+".server", svc.Lines.Server)
	c.words(path+".bind", svc.Lines.Bind)
}

// section validates lines that stand in a section of a service: they must not begin another one.
func (c check) section(path, text string) {
	if c.Told(path) {
		return
	}
	if strings.ContainsRune(text, 0) {
		c.Problem(path, "holds a NUL character", "")
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if w := syntax.Words(line); len(w) > 0 && syntax.IsSection(w[0]) {
			c.Problem(path, fmt.Sprintf("line %d begins a section %q", n, w[0]), "whole sections go to haproxy.extra")
			return
		}
	}
}

// words validates text that stands at the end of a line.
func (c check) words(path, text string) {
	if text == "" || c.Told(path) {
		return
	}
	switch trimmed := strings.TrimSpace(text); {
	case strings.ContainsAny(trimmed, "\n\r\x00"):
		c.Problem(path, "must be one line", "")
	case len(syntax.Words(trimmed+" end")) == len(syntax.Words(trimmed)):
		c.Problem(path, "holds a comment, or a quote or an escape that does not end", "")
	}
}
