package judge

import (
	"fmt"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/srcmap"
)

// keepalivedUnjudged warns of text in keepalived.conf that cannot be judged because this machine has no keepalived.
func (j *session) keepalivedUnjudged() diag.Problems {
	var problems diag.Problems
	texts := []struct{ path, text string }{{"keepalived.extra", j.spec.Keepalived.Extra}}
	for i, v := range j.spec.VIPs {
		texts = append(texts, struct{ path, text string }{fmt.Sprintf("vips[%d].lines", i), v.Lines})
	}
	for _, t := range texts {
		if strings.TrimSpace(t.text) == "" {
			continue
		}
		line, what := unbalanced(strings.Split(t.text, "\n"))
		p := j.spec.At(srcmap.Origin{Path: t.path, Text: true, Line: line})
		p.Severity, p.Message, p.Hint = diag.Warning, what, "keepalived, which would test it, is not installed on this machine"
		if line < 0 {
			p.Message = "cannot be tested: keepalived is not installed on this machine"
			p.Hint = fmt.Sprintf("install keepalived here to test it now; bake image tests it with the keepalived of %s", j.release.Title)
		}
		problems = append(problems, p)
	}
	return problems
}
