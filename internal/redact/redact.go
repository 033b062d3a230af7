// Package redact hides secrets and the user's own text in output: in lines of a spec, and in messages of haproxy and
// keepalived about a configuration file. All code that shows either uses this package.
package redact

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/hapair/hapair/internal/lazyregexp"
)

// Mask replaces hidden text.
const Mask = "***"

// MaxLine is the maximum number of characters of a source line or a message that are shown.
const MaxLine = 400

// secretWord matches a key whose value is a secret, even if it is misspelt.
const secretWord = `(?i:pass|pasw|psswo|secret|token|private_?key|psk)`

var (
	secretKey = lazyregexp.New(secretWord)
	// secretArgument matches a keyword of haproxy or keepalived that takes a secret.
	secretArgument = lazyregexp.New(`(?i)pass|pasw|psswo|secret|token|psk|^(?:auth|auth_hmac|crypt|hmac|key|authorization|bearer|basic)$`)
	// secretLine matches such a key, up to its value, in a line of YAML.
	secretLine = lazyregexp.New(`[\w-]*` + secretWord + `[\w-]*["']?\s*:(?:\s+|$)`)
	// reference matches a reference to a secret, which may be shown.
	reference = lazyregexp.New(`^\{\s*(?:file\s*:\s*[^\s,{}]+|env\s*:\s*[A-Za-z_][A-Za-z0-9_]*)\s*\}`)
)

// Key reports whether the value of a key with this name is a secret.
func Key(name string) bool { return secretKey().MatchString(name) }

// YAMLSecret returns the offset at which the literal value of a secret's key begins in a line of YAML, or -1. A reference
// such as {file: PATH} is not a literal value.
func YAMLSecret(line string) int {
	for from := 0; ; {
		m := secretLine().FindStringIndex(line[from:])
		if m == nil {
			return -1
		}
		from += m[1]
		ref := reference().FindString(line[from:])
		if ref == "" {
			return from
		}
		from += len(ref)
	}
}

// YAMLLine returns a line of YAML without the literal values of secrets.
func YAMLLine(line string) string {
	from := YAMLSecret(line)
	if from < 0 || strings.TrimSpace(line[from:]) == "" {
		return line
	}
	return line[:from] + Mask
}

// assignment matches a key of a secret with its value in a program's output: token=x, "password": "x".
var assignment = lazyregexp.New(`(?i)([\w-]*` + secretWord + `[\w-]*["']?\s*[=:]\s*)("[^"]*"?|'[^']*'?|[^\s,;&]+)`)

// Assignments returns a line of a program's output without the values of secret keys.
func Assignments(line string) string { return assignment().ReplaceAllString(line, "${1}"+Mask) }

// From replaces the characters of a line from a column on by Mask. Columns count from 1.
func From(line string, column int) string {
	if kept := First(line, column-1); kept != line {
		return kept + Mask
	}
	return line
}

// First returns at most the first n characters of a text.
func First(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// Cut shortens a text to n characters, and appends "…" if it was longer.
func Cut(s string, n int) string {
	if kept := First(s, n); kept != s {
		return kept + "…"
	}
	return s
}

//go:embed keywords.txt
var keywordList string

// keyword reports whether a word is a keyword of haproxy or keepalived. keywords.txt has the keywords that haproxy -dKall
// prints, those in the headings of haproxy's manual, and those that keepalived's parsers accept.
func keyword(word string) bool {
	_, ok := keywords()[word]
	return ok
}

var keywords = sync.OnceValue(func() map[string]struct{} {
	m := map[string]struct{}{}
	for _, word := range strings.Fields(keywordList) {
		m[word] = struct{}{}
	}
	return m
})
