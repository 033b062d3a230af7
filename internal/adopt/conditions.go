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
	type branch struct{ taken, active bool } // whether some branch was taken, and whether this one is
	var open []branch
	n := 0
	for raw := range strings.Lines(f.Text) {
		n++
		tokens, _ := cut(strings.TrimRight(raw, "\r\n"))
		active := !slices.ContainsFunc(open, func(b branch) bool { return !b.active })
		if len(tokens) > 0 && strings.HasPrefix(tokens[0].text, ".") {
			condition := ""
			if len(tokens) > 1 {
				condition = strings.TrimSpace(strings.TrimRight(raw, "\r\n")[tokens[1].start:])
			}
			switch tokens[0].text {
			case ".if":
				yes, err := im.condition(condition, known)
				if err != nil && active {
					return "", fmt.Errorf("cannot import %s: line %d: %w", f.Name, n, err)
				}
				open = append(open, branch{yes, yes})
			case ".elif":
				if len(open) == 0 {
					break
				}
				top := &open[len(open)-1]
				yes, err := im.condition(condition, known)
				if err != nil && !top.taken {
					return "", fmt.Errorf("cannot import %s: line %d: %w", f.Name, n, err)
				}
				top.active = yes && !top.taken
				top.taken = top.taken || yes
			case ".else":
				if len(open) > 0 {
					top := &open[len(open)-1]
					top.active, top.taken = !top.taken, true
				}
			case ".endif":
				if len(open) > 0 {
					open = open[:len(open)-1]
				}
			}
			if tokens[0].text == ".if" {
				l := newLine(f.Name, n, strings.TrimRight(raw, "\r\n"))
				im.note(Changed, &l, "", "the condition "+condition+" was decided for the new nodes", "")
			}
			out.WriteString("\n")
			continue
		}
		if !active {
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
