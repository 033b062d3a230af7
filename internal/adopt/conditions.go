package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/release"
)

// variable is one of the environment's in haproxy.cfg.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(?:-([^}"]*))?(\[\*\])?\}|"\$([A-Za-z_][A-Za-z0-9_]*)"`)

// conditions returns a haproxy.cfg without the parts that its conditions (.if) leave out for the new nodes, and with the
// variables of the environment whose values are known. Lines stay where they are.
func (im *importer) conditions(f File) (string, error) {
	known := map[string]string{}
	for k, v := range im.options.Env {
		known[k] = v
	}
	var out strings.Builder
	var open branches
	n := 0
	for raw := range strings.Lines(f.Text) {
		n++
		text := strings.TrimRight(raw, "\r\n")
		tokens, _ := cut(text)
		if len(tokens) > 0 && strings.HasPrefix(tokens[0].text, ".") {
			condition := ""
			if len(tokens) > 1 {
				condition = strings.TrimSpace(text[tokens[1].start:])
			}
			if err := open.line(tokens[0].text, func() (bool, error) { return im.condition(condition, known) }); err != nil {
				return "", fmt.Errorf("cannot import %s: line %d: %w", f.Name, n, err)
			}
			if tokens[0].text == ".if" {
				l := newLine(f.Name, n, text)
				im.note(Changed, &l, "", "the condition "+condition+" was decided for the new nodes", "")
			}
			out.WriteString("\n")
			continue
		}
		if !open.active() {
			out.WriteString("\n")
			continue
		}
		if len(tokens) > 2 && (tokens[0].text == "setenv" || tokens[0].text == "presetenv") {
			if _, has := known[tokens[1].text]; !has || tokens[0].text == "setenv" {
				known[tokens[1].text] = tokens[2].text
			}
		}
		out.WriteString(im.expand(f.Name, n, raw, known))
	}
	return out.String(), nil
}

// branch is a conditional block of haproxy.cfg: whether some branch was taken, and whether the present one is.
type branch struct{ taken, active bool }

// branches are those that a line is in, from the outermost to the innermost.
type branches []branch

// active reports whether haproxy reads the line.
func (bs branches) active() bool {
	return !slices.ContainsFunc(bs, func(b branch) bool { return !b.active })
}

// line takes a conditional line: .if, .elif, .else or .endif. Its error is that of the condition, if haproxy would evaluate it.
func (bs *branches) line(keyword string, condition func() (bool, error)) error {
	if keyword == ".if" {
		yes, err := condition()
		if err != nil && bs.active() {
			return err
		}
		*bs = append(*bs, branch{yes, yes})
		return nil
	}
	if len(*bs) == 0 {
		return nil
	}
	top := &(*bs)[len(*bs)-1]
	switch keyword {
	case ".elif":
		yes, err := condition()
		if err != nil && !top.taken {
			return err
		}
		top.active = yes && !top.taken
		top.taken = top.taken || yes
	case ".else":
		top.active, top.taken = !top.taken, true
	case ".endif":
		*bs = (*bs)[:len(*bs)-1]
	}
	return nil
}

// expand puts in the values of the environment's variables.
func (im *importer) expand(file string, n int, raw string, known map[string]string) string {
	return variable.ReplaceAllStringFunc(raw, func(s string) string {
		m := variable.FindStringSubmatch(s)
		name := m[1] + m[4]
		value, ok := known[name]
		if !ok && m[2] != "" {
			value, ok = m[2], true
		}
		if strings.HasPrefix(name, "HAPROXY_") && !ok {
			return s
		}
		l := newLine(file, n, strings.TrimRight(raw, "\r\n"))
		if !ok {
			im.note(Missing, &l, "", fmt.Sprintf("the variable %s of haproxy's environment has no value here", name), "give it with --env "+name+"=VALUE")
			return s
		}
		if m[4] != "" {
			return `"` + value + `"`
		}
		return value
	})
}

var predicate = regexp.MustCompile(`^([a-z_]+)\(([^)]*)\)$`)

// condition evaluates a condition of haproxy.cfg (configuration.txt, 2.4) for the new nodes.
func (im *importer) condition(text string, env map[string]string) (bool, error) {
	for _, or := range strings.Split(text, "||") {
		yes := true
		for _, and := range strings.Split(or, "&&") {
			term, not := strings.TrimSpace(and), false
			for strings.HasPrefix(term, "!") {
				term, not = strings.TrimSpace(term[1:]), !not
			}
			value, err := im.predicate(term, env)
			if err != nil {
				return false, err
			}
			yes = yes && value != not
		}
		if yes {
			return true, nil
		}
	}
	return false, nil
}

func (im *importer) predicate(term string, env map[string]string) (bool, error) {
	switch term {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	}
	m := predicate.FindStringSubmatch(term)
	if m == nil {
		return false, fmt.Errorf("the condition %q is not understood: decide it by hand and remove .if and .endif", term)
	}
	var args []string
	for _, a := range strings.Split(m[2], ",") {
		args = append(args, strings.Trim(strings.TrimSpace(a), `"'`))
	}
	for len(args) < 2 {
		args = append(args, "")
	}
	v := im.release().HAProxy
	switch m[1] {
	case "defined":
		_, has := env[args[0]]
		return has, nil
	case "streq":
		return args[0] == args[1], nil
	case "strneq":
		return args[0] != args[1], nil
	case "strstr":
		return strings.Contains(args[0], args[1]), nil
	case "feature":
		return !slices.Contains([]string{"QUIC", "WOLFSSL", "51DEGREES", "DEVICEATLAS", "WURFL", "OPENSSL_AWSLC"}, args[0]), nil
	case "version_atleast", "version_before":
		want, err := release.ParseVersion(args[0] + ".0")
		if err != nil {
			return false, fmt.Errorf("the version in %q is not understood", term)
		}
		at := v.AtLeast(want[0], want[1], want[2])
		return at == (m[1] == "version_atleast"), nil
	}
	return false, fmt.Errorf("the condition %q is not understood: decide it by hand and remove .if and .endif", term)
}

// release is that of the new nodes.
func (im *importer) release() release.Release {
	r, err := release.Get(im.options.Release)
	if err != nil {
		r, _ = release.Get(defaultRelease)
	}
	return r
}

// defaultRelease is the default of image.release in a spec.
const defaultRelease = "noble"
