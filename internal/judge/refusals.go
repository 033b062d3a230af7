package judge

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/srcmap"
)

// verdict is a daemon's message about a file.
type verdict struct {
	daemon  string
	version release.Version // of the daemon that tested the file
	wants   release.Version // of the release
	line    int             // in the file, from 1; 0: unknown
	message string          // the daemon's message
	detail  string          // additional text for the problem
	unsure  string          // the reason why the message may not apply on a node; empty: it applies
}

// problem returns the problem at the place in the spec that a daemon refuses.
func (j *session) problem(f *judged, v verdict) diag.Problem {
	p := j.spec.At(f.origin(v.line))
	p.Severity = diag.Error
	p.Message = fmt.Sprintf("%s %s refuses it: %s", v.daemon, v.version, shown(v.message, f)+v.detail)
	switch differs := j.differs(v); {
	case v.unsure != "":
		p.Severity, p.Hint = diag.Warning, v.unsure
	case differs != "":
		p.Severity, p.Hint = diag.Warning, differs
	}
	return p
}

// shown returns a daemon's message without secrets: the daemons quote the lines that they refuse. Every message must pass
// through here.
func shown(message string, f *judged) string {
	return f.redact.Message(f.stubs.original(message))
}

// origin returns the place in the spec from which a line of the file comes. For other lines it returns the text that is passed
// through, which most likely changed the line's meaning.
func (f *judged) origin(line int) srcmap.Origin {
	if line >= 1 && line <= len(f.origins) && f.origins[line-1].Path != "" {
		return f.origins[line-1]
	}
	for i := len(f.origins) - 1; i >= 0; i-- {
		if o := f.origins[i]; o.Text {
			return srcmap.Origin{Path: o.Path, Text: true, Line: -1}
		}
	}
	return srcmap.Origin{}
}

var (
	// gone matches messages about keywords that older versions accept.
	gone = regexp.MustCompile(`(?i)no longer|not supported any ?more|any more since|obsolete|removed|deprecated`)
	// always matches what every version refuses.
	always = regexp.MustCompile(`(?i)unable to find|unmatched|unterminated|missing '}'s|extra '{'s`)
)

// differs returns the reason why a refusal may not apply to the release, whose daemon has another version: an older daemon
// rejects keywords that a newer one added, and a newer one may have removed a keyword. Empty: the refusal applies.
func (j *session) differs(v verdict) string {
	why := fmt.Sprintf("%s has %s %s, which may accept it; bake image tests it with that", j.release.Title, v.daemon, v.wants)
	have, want := v.version, v.wants
	if v.daemon == "haproxy" { // within a branch only bugs are fixed
		have[2], want[2] = 0, 0
	}
	switch {
	case j.image || have == want || always.MatchString(v.message):
		return ""
	case have.AtLeast(want[0], want[1], want[2]) && !gone.MatchString(v.message):
		return ""
	}
	return why
}

// missingHere matches messages about files that are missing on this machine and have no stub.
var missingHere = regexp.MustCompile(`(?i)no such file or directory|permission denied`)

// the reasons why a refusal may not apply on a node
const (
	onNode      = "it refers to something that may exist on the nodes, but not here"
	environment = "the line has an environment variable, which may be set on the nodes"
)

var (
	alert  = regexp.MustCompile(`^\[ALERT\]\s*(?:\(\d+\)\s*:\s*)?(?:config\s*:\s*)?(.*)$`)
	where  = regexp.MustCompile(`(?:parsing )?\[[^\]]*/haproxy\.cfg:(\d+)\]\s*:?\s*`)
	closer = regexp.MustCompile(`^(?:Error\(s\) found in configuration file|Fatal errors found in configuration|config parsing failed|Failed to initialize server)`)
	proxy  = regexp.MustCompile(`(?i)\b(?:proxy|frontend|backend|listen|userlist|peers|resolvers|server) '([^'/]+)`)
)

// haproxyRefusals returns haproxy's refusals as problems.
func (j *session) haproxyRefusals(f *judged, s result) diag.Problems {
	var problems diag.Problems
	for _, line := range s.lines {
		m := alert.FindStringSubmatch(line)
		if s.status == 0 || m == nil || closer.MatchString(m[1]) {
			continue
		}
		v := verdict{daemon: "haproxy", version: j.haproxy, wants: j.release.HAProxy, message: where.ReplaceAllString(m[1], "")}
		if at := where.FindStringSubmatch(m[1]); at != nil {
			v.line, _ = strconv.Atoi(at[1])
		} else if named := proxy.FindStringSubmatch(m[1]); named != nil {
			v.line = sectionLine(f.config, named[1])
		}
		switch {
		case f.unsure[v.line]:
			v.unsure = environment
		case missingHere.MatchString(v.message):
			v.unsure = onNode
		}
		problems = append(problems, j.problem(f, v))
	}
	return j.orSomething(problems, f, "haproxy", s)
}

// orSomething returns the problems, or a warning if the daemon failed without a message about the file.
func (j *session) orSomething(problems diag.Problems, f *judged, daemon string, s result) diag.Problems {
	if len(problems) > 0 || s.status == 0 {
		return problems
	}
	p := j.spec.At(f.origin(0))
	p.Severity = diag.Warning
	p.Message = fmt.Sprintf("%s gave no verdict: it ended with status %d", daemon, s.status)
	if n := len(s.lines); n > 0 {
		p.Message += ": " + shown(s.lines[n-1], f)
	}
	return diag.Problems{p}
}

// sectionLine returns the line on which the section of a proxy begins; 0 if there is none.
func sectionLine(config, name string) int {
	for i, line := range strings.Split(config, "\n") {
		if ws := cutHAProxy(line); len(ws) > 1 && isSection(ws[0].text) && ws[1].text == name {
			return i + 1
		}
	}
	return 0
}

var (
	atLine   = regexp.MustCompile(`^\((?:.*: )?Line (\d+)\)\s*(.*)$`)
	instance = regexp.MustCompile(`^\(([^)\s]+)\)`)
	braces   = regexp.MustCompile(`missing '}'s or extra '{'s`)
	// insecure matches messages about scripts if script security is off, or if keepalived may not change its user.
	insecure = regexp.MustCompile(`^SECURITY VIOLATION|^WARNING - script security|^Disabling track script .* due to insecure`)
)

// keepalivedRefusals returns keepalived's refusals as problems. Its exit statuses are 0 for a good file, 5 for an error, and 6
// for scripts without script security. Several of its processes read the file and repeat messages. The security of scripts is
// checked only in an image: elsewhere the copy has no script security, and bake may not be root.
func (j *session) keepalivedRefusals(f *judged, s result) diag.Problems {
	messages := j.keepalivedMessages(s)
	if s.status == 0 || !j.image && len(messages) == 0 && len(s.lines) > 0 && s.status < 128 {
		return nil
	}
	if s.status > 128 {
		return j.orSomething(nil, f, "keepalived", s)
	}
	var problems diag.Problems
	for _, line := range messages {
		v := verdict{daemon: "keepalived", version: j.keepalived, wants: j.release.Keepalived, message: line}
		if m := atLine.FindStringSubmatch(line); m != nil {
			v.line, _ = strconv.Atoi(m[1])
			v.message = m[2]
		} else if m := instance.FindStringSubmatch(line); m != nil {
			v.line = blockLine(f.config, m[1])
		} else if braces.MatchString(line) {
			if n, what := unbalanced(strings.Split(f.config, "\n")); n >= 0 {
				v.line, v.detail = n+1, ": "+what
			}
		}
		problems = append(problems, j.problem(f, v))
	}
	return j.orSomething(problems, f, "keepalived", s)
}

// keepalivedMessages returns the lines about the file.
func (j *session) keepalivedMessages(s result) []string {
	var out []string
	for _, line := range s.lines {
		line = strings.TrimSpace(line)
		if !j.image && insecure.MatchString(line) || slices.Contains(out, line) {
			continue
		}
		out = append(out, line)
	}
	return out
}

// blockLine returns the line on which the block with a name begins; 0 if there is none.
func blockLine(config, name string) int {
	for i, line := range strings.Split(config, "\n") {
		if ws := cutKeepalived(line); len(ws) > 1 && strings.HasPrefix(ws[0].text, "v") && ws[1].text == name {
			return i + 1
		}
	}
	return 0
}

// unbalanced returns the line, from 0, of a brace without a counterpart, and a description; -1 if there is none.
func unbalanced(lines []string) (int, string) {
	var open []int
	for i, line := range lines {
		for _, w := range cutKeepalived(line) {
			switch {
			case w.text == "{":
				open = append(open, i)
			case w.text == "}" && len(open) == 0:
				return i, "this } has no counterpart"
			case w.text == "}":
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return -1, ""
	}
	return open[len(open)-1], "the block that begins here is not closed"
}

// unique removes duplicates: most problems hold for all nodes.
func unique(problems diag.Problems) diag.Problems {
	var out diag.Problems
	for _, p := range problems {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
