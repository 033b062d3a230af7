package adopt

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// confLine is a line of keepalived.conf, or of a file that it includes.
type confLine struct {
	file   string
	number int
	text   string
}

const (
	keepalivedDir  = "/etc/keepalived"
	keepalivedConf = keepalivedDir + "/keepalived.conf"
)

// maxIncluded bounds how deep files may include each other.
const maxIncluded = 16

// conf returns keepalived.conf as this node's keepalived takes it: with the files that it includes, the conditional lines of the
// node, and values in place of definitions.
func (n *Node) conf() *block { return parseKeepalived(n.confLines()) }

func (n *Node) confLines() []confLine {
	lines := n.ownLines()
	id := n.config
	if ids := configIDs(lines); id == "" && len(ids) > 0 {
		if id = ids[0]; slices.Contains(ids, n.Name) {
			id = n.Name
		}
	}
	return define(choose(lines, id))
}

func confLinesOf(file, text string) []confLine {
	var out []confLine
	n := 0
	for t := range strings.Lines(text) {
		n++
		out = append(out, confLine{file, n, strings.TrimRight(t, "\r\n \t")})
	}
	return out
}

// include matches a line that includes files; -r and the like say what keepalived does if there is none.
var include = regexp.MustCompile(`^\s*(?:@\S+\s+)?include[a-z]?\s+"?([^"\s]+)"?\s*$`)

// included puts the lines of included files in the place of their lines, as far as bake can read them. The last of the files
// includes the others: a file that includes itself is read once.
func (n *Node) included(lines []confLine, files ...string) []confLine {
	var out []confLine
	for _, l := range lines {
		match := include.FindStringSubmatch(l.text)
		var found []string
		if match != nil && len(files) < maxIncluded {
			found = n.matches(match[1], path.Dir(files[len(files)-1]))
		}
		if len(found) == 0 {
			out = append(out, l)
			continue
		}
		for _, p := range found {
			if !slices.Contains(files, p) {
				out = append(out, n.included(confLinesOf(p, string(n.Read(p))), append(slices.Clone(files), p)...)...)
			}
		}
	}
	return out
}

// ownLines returns the lines of the node's keepalived.conf and of the files that it includes.
func (n *Node) ownLines() []confLine {
	return n.included(confLinesOf(n.Keepalived.Name, n.Keepalived.Text), keepalivedConf)
}

// matches returns the files that a line includes and that bake can read, by their paths on the node.
func (n *Node) matches(pattern, dir string) []string {
	if !path.IsAbs(pattern) {
		pattern = path.Join(dir, pattern)
	}
	if n.Read != nil && n.Read(pattern) != nil {
		return []string{pattern}
	}
	if n.Glob == nil {
		return nil
	}
	return n.Glob(pattern)
}

// condition matches a line that only some nodes take: @NAME, or @^NAME for all others; see keepalived.conf(5).
var condition = regexp.MustCompile(`^\s*@(\^?)\(?([^\s()]+)\)?(?:\s+(.*))?$`)

// configIDs returns the names in the conditions of lines, in order.
func configIDs(lines []confLine) []string {
	var ids []string
	for _, l := range lines {
		if match := condition.FindStringSubmatch(l.text); match != nil {
			for _, id := range strings.Split(match[2], "|") {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids
}

// choose returns the lines that a node takes.
func choose(lines []confLine, id string) []confLine {
	var out []confLine
	for _, l := range lines {
		if match := condition.FindStringSubmatch(l.text); match != nil {
			if slices.Contains(strings.Split(match[2], "|"), id) == (match[1] == "^") {
				continue
			}
			l.text = match[3]
		}
		out = append(out, l)
	}
	return out
}

var (
	definition = regexp.MustCompile(`^\s*\$([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)
	parameter  = regexp.MustCompile(`\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))`)
)

// maxExpanded bounds how often a value may contain other definitions.
const maxExpanded = 16

// define replaces definitions by their values. A value may have several lines, each but the last with a backslash at its end.
func define(lines []confLine) []confLine {
	values := map[string]string{}
	var out []confLine
	for i := 0; i < len(lines); i++ {
		l := lines[i]
		if match := definition.FindStringSubmatch(l.text); match != nil {
			value := match[2]
			for strings.HasSuffix(value, `\`) && i+1 < len(lines) {
				i++
				value = strings.TrimRight(strings.TrimSuffix(value, `\`), " \t") + "\n" + strings.TrimSpace(lines[i].text)
			}
			values[match[1]] = strings.TrimLeft(value, "\n")
			continue
		}
		for t := range strings.SplitSeq(expand(l.text, values), "\n") {
			out = append(out, confLine{l.file, l.number, t})
		}
	}
	return out
}

func expand(text string, values map[string]string) string {
	for range maxExpanded {
		replaced := parameter.ReplaceAllStringFunc(text, func(s string) string {
			if v, ok := values[strings.Trim(s, "${}")]; ok {
				return v
			}
			return s
		})
		if replaced == text || len(replaced) > maxFile {
			break
		}
		text = replaced
	}
	return text
}

// byCondition says for each node which conditions of its keepalived.conf hold, if its name does not. A single keepalived.conf that
// several nodes share becomes a node for each name in its conditions.
func byCondition(nodes []Node) []Node {
	if len(nodes) == 0 {
		return nodes
	}
	n := nodes[0]
	lines := n.ownLines()
	ids := configIDs(lines)
	if len(ids) < 2 || len(nodes) != 1 && len(nodes) != len(ids) || slices.ContainsFunc(nodes, func(n Node) bool { return slices.Contains(ids, n.Name) }) {
		return nodes
	}
	var out []Node
	for i, id := range ids {
		n := nodes[min(i, len(nodes)-1)]
		if n.config = id; len(nodes) == 1 {
			n.Name = id
		}
		out = append(out, n)
	}
	return out
}
