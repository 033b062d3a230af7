package adopt

import (
	"slices"
	"strings"
)

// block is an entry of keepalived.conf: a line, or a block with entries in braces.
type block struct {
	file    string
	number  int
	words   []string
	raw     string // of a line
	above   []string
	comment string
	braces  bool
	entries []*block
}

// word returns a word of the entry, or "".
func (b *block) word(i int) string {
	if b != nil && i < len(b.words) {
		return b.words[i]
	}
	return ""
}

// all returns the entries that begin with a word.
func (b *block) all(name string) []*block {
	var out []*block
	if b == nil {
		return nil
	}
	for _, e := range b.entries {
		if e.word(0) == name {
			out = append(out, e)
		}
	}
	return out
}

// last returns the last entry that begins with a word; nil: none.
func (b *block) last(name string) *block {
	all := b.all(name)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// parseKeepalived reads the lines of a keepalived.conf. The result is a block without words that has the file's entries.
func parseKeepalived(lines []confLine) *block {
	root := &block{braces: true}
	open := []*block{root}
	var above []string
	for _, l := range lines {
		file, n, raw := l.file, l.number, l.text
		words, comment := cutKeepalived(raw)
		if len(words) == 0 && comment != "" {
			above = append(above, comment)
			continue
		}
		entry := &block{file: file, number: n}
		add := func() {
			if len(entry.words) == 0 {
				return
			}
			if entry.raw = quoteKeepalived(entry.words); !slices.Contains(words, "{") && !slices.Contains(words, "}") {
				entry.raw = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(raw), comment))
			}
			entry.above, above = above, nil
			top := open[len(open)-1]
			top.entries = append(top.entries, entry)
			entry = &block{file: file, number: n}
		}
		for _, w := range words {
			switch w {
			case "{":
				top := open[len(open)-1]
				if len(entry.words) == 0 && len(top.entries) > 0 && !top.entries[len(top.entries)-1].braces {
					entry = top.entries[len(top.entries)-1] // the brace is on a line of its own
				} else {
					entry.above, above = above, nil
					top.entries = append(top.entries, entry)
				}
				entry.braces = true
				open = append(open, entry)
				entry = &block{file: file, number: n}
			case "}":
				add()
				if len(open) > 1 {
					open = open[:len(open)-1]
				}
			default:
				entry.words = append(entry.words, w)
			}
		}
		entry.comment = comment
		add()
	}
	return root
}

// cutKeepalived cuts a line of keepalived.conf: a comment begins with # or !, quotes keep blanks together, and a brace is a
// word.
func cutKeepalived(s string) (words []string, comment string) {
	var word strings.Builder
	var quote rune // the quote that is open
	has := false
	flush := func() {
		if has {
			words = append(words, word.String())
		}
		word.Reset()
		has = false
	}
	for i, c := range s {
		switch {
		case c == quote && quote != 0:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"', c == '\'' && !has:
			quote, has = c, true
		case (c == '#' || c == '!') && !has:
			flush()
			return words, s[i:]
		case c == '{' || c == '}':
			flush()
			words = append(words, string(c))
		case c == ' ' || c == '\t':
			flush()
		default:
			word.WriteRune(c)
			has = true
		}
	}
	flush()
	return words, ""
}

// text writes an entry with its comments, indented.
func (b *block) text(indent string) string {
	var out strings.Builder
	for _, c := range b.above {
		out.WriteString(indent + c + "\n")
	}
	if !b.braces {
		out.WriteString(indent + b.raw)
		if b.comment != "" {
			out.WriteString(" " + b.comment)
		}
		out.WriteString("\n")
		return out.String()
	}
	out.WriteString(indent + quoteKeepalived(b.words) + " {\n")
	for _, e := range b.entries {
		out.WriteString(e.text(indent + "    "))
	}
	out.WriteString(indent + "}\n")
	return out.String()
}

func quoteKeepalived(words []string) string {
	var out []string
	for _, w := range words {
		if strings.ContainsAny(w, " \t") {
			w = `"` + w + `"`
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}
