package redact

import "strings"

// ConfigLine returns a line of a configuration of haproxy or keepalived with Mask in place of everything after a keyword that
// takes a secret, and in place of hashes of passwords. It hides too much rather than too little: the rest of the line is
// hidden, too, and words that merely look like such a keyword count.
func ConfigLine(line string) string {
	for i := 0; i < len(line); {
		start := i + strings.IndexFunc(line[i:], func(r rune) bool { return r != ' ' && r != '\t' })
		if start < i {
			break
		}
		end := start + strings.IndexAny(line[start:]+" ", " \t")
		word := line[start:end]
		switch {
		case hash().MatchString(word):
			return line[:start] + Mask
		case secretArgument().MatchString(trim(word)):
			// The secret may be in the same word: Authorization:x, token=x.
			if at := strings.IndexAny(word, "=:"); at >= 0 && at+1 < len(word) {
				return line[:start+at+1] + Mask
			}
			if strings.TrimSpace(line[end:]) == "" {
				return line
			}
			return line[:end] + " " + Mask
		case strings.Contains(word, "://") && strings.Contains(word, "@"):
			return line[:start] + Mask
		}
		i = end
	}
	return line
}
