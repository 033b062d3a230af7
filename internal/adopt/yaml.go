package adopt

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// mapping is a mapping of the spec that is being written, with its keys in order.
type mapping struct{ *yaml.Node }

func newMapping() mapping { return mapping{&yaml.Node{Kind: yaml.MappingNode}} }

// flow makes a mapping one line.
func (m mapping) flow() mapping {
	m.Style = yaml.FlowStyle
	return m
}

// set adds a key with comments above it. An empty string or list adds nothing.
func (m mapping) set(key string, value any, above ...string) {
	v := node(value)
	if v == nil {
		return
	}
	k := &yaml.Node{Kind: yaml.ScalarNode, Value: key}
	if len(above) > 0 {
		k.HeadComment = strings.Join(above, "\n")
	}
	m.Content = append(m.Content, k, v)
}

// empty reports whether the mapping has no key.
func (m mapping) empty() bool { return len(m.Content) == 0 }

// node returns a value as YAML; nil if there is nothing to write.
func node(value any) *yaml.Node {
	switch v := value.(type) {
	case nil:
		return nil
	case *yaml.Node:
		return v
	case mapping:
		if v.empty() {
			return nil
		}
		return v.Node
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatBool(v)}
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.Itoa(v)}
	case time.Duration:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: spanText(v)}
	case string:
		return textNode(v)
	case []string:
		return listNode(v)
	case []mapping:
		if len(v) == 0 {
			return nil
		}
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, m := range v {
			list.Content = append(list.Content, m.Node)
		}
		return list
	}
	panic("adopt: a value that the spec cannot have")
}

func textNode(s string) *yaml.Node {
	if s == "" {
		return nil
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case strings.Contains(s, "\n"):
		n.Style = yaml.LiteralStyle
	case isOldBool(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// isOldBool reports whether YAML 1.1 reads a word as a truth value.
func isOldBool(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~":
		return true
	}
	return false
}

func listNode(list []string) *yaml.Node {
	if len(list) == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, s := range list {
		n.Content = append(n.Content, textNode(s))
	}
	return n
}

// oneOrList returns a text, or a list if there are several.
func oneOrList(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// marshal writes the spec.
func marshal(m mapping, head string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(head)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(m.Node); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// spanText writes a duration as the spec takes it.
func spanText(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d != 0 && d%unit.size == 0 {
			return strconv.FormatInt(int64(d/unit.size), 10) + unit.name
		}
	}
	if d == 0 {
		return "0s"
	}
	return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms"
}

// haproxyTime reads a time as haproxy writes it: milliseconds, unless it has a unit (configuration.txt, 2.5).
func haproxyTime(s string) (time.Duration, bool) {
	number := strings.TrimRight(s, "usmhd")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	unit := time.Millisecond
	switch s[len(number):] {
	case "", "ms":
	case "us":
		unit = time.Microsecond
	case "s":
		unit = time.Second
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	case "d":
		unit = 24 * time.Hour
	default:
		return 0, false
	}
	if n > int64((1<<31-1)*time.Millisecond/unit) {
		return 0, false
	}
	d := time.Duration(n) * unit
	return d, d%time.Millisecond == 0
}
