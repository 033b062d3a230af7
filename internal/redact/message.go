package redact

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/hapair/hapair/internal/lazyregexp"
)

// Config contains the words of a configuration file, which messages quote.
type Config struct {
	words  map[string]bool // every word and every part of a word
	sorted []string        // words, sorted
	shown  map[string]bool // names of sections, servers and interfaces
	secret map[string]bool // words after a keyword that takes a secret
}

// NewConfig reads configuration files of haproxy or keepalived.
func NewConfig(files ...[]byte) *Config {
	c := &Config{words: map[string]bool{}, shown: map[string]bool{}, secret: map[string]bool{}}
	for _, file := range files {
		for line := range strings.Lines(string(file)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				c.add(strings.Fields(line))
			}
		}
	}
	for word := range c.secret {
		delete(c.shown, word)
	}
	c.sorted = slices.Sorted(maps.Keys(c.words))
	return c
}

func (c *Config) add(line []string) {
	for i, word := range line {
		core := trim(word)
		c.words[word], c.words[core] = true, true
		for _, part := range parts(core) {
			c.words[part] = true
		}
		if i == 0 {
			continue
		}
		switch before := trim(line[i-1]); {
		case secretArgument().MatchString(before):
			c.secret[core] = true
			for _, part := range parts(core) {
				// If a short part were hidden, unrelated words that contain it would be hidden too.
				c.secret[part] = len(part) >= 6
			}
		case names[before] && name().MatchString(core) && !quoted(word):
			c.shown[core] = true
		}
	}
}

// names are keywords followed by a name that helps to find a mistake, and that is never a secret.
var names = map[string]bool{
	"frontend": true, "backend": true, "listen": true, "defaults": true, "userlist": true, "peers": true, "resolvers": true,
	"server": true, "use_backend": true, "default_backend": true,
	"vrrp_instance": true, "vrrp_script": true, "vrrp_sync_group": true, "vrrp_track_file": true, "vrrp_track_process": true,
	"interface": true, "dev": true, "cluster": true, "node": true,
}

var (
	name = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$`)
	// hash matches a password hash in the format of crypt(3).
	hash = lazyregexp.New(`\$[0-9a-z]{1,2}\$`)
	// plain matches words that cannot be a secret: short numbers and times, addresses, and paths of standard directories.
	plain = lazyregexp.New(`^(?:` +
		`-?[0-9]{1,5}(?:us|ms|s|m|h|d|k|K|G|%)?` +
		`|\*?:[0-9]{1,5}` +
		`|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2}|:[0-9]{1,5})?` +
		`|\[?(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}\]?(?:/[0-9]{1,3}|:[0-9]{1,5})?` +
		`|/(?:dev|etc|home|lib|mnt|opt|root|run|srv|tmp|usr|var)/[A-Za-z0-9._/+-]+(?::[0-9]+)?` +
		`)$`)
)

// Messages returns messages about the configuration without the user's text.
func (c *Config) Messages(messages []string) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = c.Message(m)
	}
	return out
}

// Message returns a message about the configuration, with Mask in place of each word that the user may have written. It
// keeps the daemon's own words, keywords, addresses, paths, and names of sections. It hides words after a keyword that takes
// a secret, unknown words in quotes, and words of the configuration. The result is one line of limited length.
func (c *Config) Message(message string) string {
	var out strings.Builder
	var quote rune // the opening quotation mark; 0 if there is none
	before, hid := "", false
	for _, chunk := range strings.Fields(First(message, 10*MaxLine)) {
		opens := openedBy(chunk)
		if quote == 0 {
			quote = opens
		}
		core := trim(chunk)
		hide := core != "" && c.hides(core, before, quote != 0)
		if quote != 0 && closedBy(chunk, quote, opens != 0) {
			quote = 0
		}
		before = core
		if hide {
			at := strings.Index(chunk, core)
			chunk = chunk[:at] + Mask + chunk[at+len(core):]
		}
		if hide && hid && chunk == Mask {
			continue
		}
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(chunk)
		hid = hide
	}
	return Cut(out.String(), MaxLine)
}

// hides reports whether a word of a message must be hidden.
func (c *Config) hides(core, before string, quoted bool) bool {
	switch {
	case hash().MatchString(core), c.secret[core]:
		return true
	case secretArgument().MatchString(before) && !joins[strings.ToLower(core)]:
		return true
	case keyword(core) || c.shown[core] || plain().MatchString(core):
		return false
	}
	for _, part := range parts(core) {
		if c.secret[part] {
			return true
		}
		if len(part) < 2 || keyword(part) || c.shown[part] || plain().MatchString(part) {
			continue
		}
		if quoted || c.quotes(part) {
			return true
		}
	}
	return len(core) > 1 && (c.words[core] || quoted && len(parts(core)) == 0)
}

// joins are words in messages that follow a keyword but are not its value.
var joins = map[string]bool{
	"": true, "a": true, "an": true, "and": true, "at": true, "but": true, "cannot": true, "expects": true, "for": true, "from": true,
	"has": true, "in": true, "is": true, "keyword": true, "longer": true, "missing": true, "must": true, "needs": true, "no": true,
	"not": true, "of": true, "on": true, "or": true, "requires": true, "should": true, "than": true, "the": true, "to": true,
	"too": true, "unknown": true, "with": true, "without": true,
}

// quotes reports whether a part of a word is in the configuration. A prefix of a word counts too, because keepalived
// truncates long words.
func (c *Config) quotes(part string) bool {
	if len(part) < 2 {
		return false
	}
	if c.words[part] {
		return true
	}
	if len(part) < 6 {
		return false
	}
	for i, _ := slices.BinarySearch(c.sorted, part); i < len(c.sorted) && strings.HasPrefix(c.sorted[i], part); i++ {
		if !keyword(c.sorted[i]) {
			return true
		}
	}
	return false
}

const marks = `'"` + "`"

// trim removes quotation marks, brackets and punctuation around a word.
func trim(word string) string { return strings.Trim(word, marks+`()[]{}<>,;:.!?`) }

func quoted(word string) bool { return strings.ContainsAny(word, marks) }

// parts are the runs of letters, digits, "_" and "-" in a word.
func parts(word string) []string {
	return strings.FieldsFunc(word, func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// openedBy returns the quotation mark that a word of a message begins with, or 0. An apostrophe inside a word opens nothing,
// and neither does a quoted brace: keepalived writes "missing '}'s or extra '{'s".
func openedBy(chunk string) rune {
	start := strings.TrimLeft(chunk, "([{<:,")
	if strings.HasPrefix(start, "'{'") || strings.HasPrefix(start, "'}'") {
		return 0
	}
	if start == "" || !strings.ContainsRune(marks, rune(start[0])) {
		return 0
	}
	return rune(start[0])
}

// closedBy reports whether a word of a message ends a quotation.
func closedBy(chunk string, quote rune, opened bool) bool {
	end := strings.TrimRight(chunk, ")]}>,;:.!?")
	if end == "" || rune(end[len(end)-1]) != quote {
		return false
	}
	return !opened || strings.Count(end, string(quote)) > 1
}
