package release

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"
)

// keywordTable lists what haproxy's releases can do beyond 2.4, a keyword a line: its kind, the first version among those of
// the releases that has it, and the keyword. A test compares it with what the daemons themselves list (haproxy -dKall).
//
//go:embed keywords.txt
var keywordTable string

// newSections are sections of haproxy.cfg with the version that introduced them (configuration.txt, 3.11 and 12).
var newSections = map[string]Version{"crt-store": {3, 0}, "traces": {3, 1}, "log-profile": {3, 1}, "acme": {3, 2}}

// keywords returns the first version that has a keyword, by kind and keyword.
var keywords = sync.OnceValue(func() map[string]map[string]Version {
	all := map[string]map[string]Version{}
	for line := range strings.Lines(keywordTable) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(f) != 3 || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := ParseVersion(f[1] + ".0")
		if err != nil {
			panic(err) // the table is part of the program
		}
		if all[f[0]] == nil {
			all[f[0]] = map[string]Version{}
		}
		all[f[0]][f[2]] = v
	}
	return all
})

// Lacks returns a keyword in a line of a section of haproxy.cfg that haproxy of this release does not support, and the
// releases that support it. It only covers keywords added after 2.4, the oldest version; haproxy itself checks the others.
// words are the words of the line, and text is the line.
func (r Release) Lacks(section string, words []string, text string) (keyword string, have []Release) {
	for _, k := range keywordsOf(section, words, text) {
		since, known := keywords()[k.kind][k.name]
		if k.kind == "section" {
			since, known = newSections[k.name]
		}
		if known && !r.HAProxy.AtLeast(since[0], since[1], 0) {
			return k.name, Since(since)
		}
	}
	return "", nil
}

type keyword struct{ kind, name string }

var (
	inSample    = regexp.MustCompile(`(?:%\[|\{ *!?)([a-z0-9_.]+)`)
	inConverter = regexp.MustCompile(`,([a-z0-9_.]+)`)
)

// keywordsOf returns the keywords in a line.
func keywordsOf(section string, words []string, text string) []keyword {
	if len(words) == 0 {
		return nil
	}
	var out []keyword
	kind, options := "proxy", 0
	switch {
	case section == "":
		return []keyword{{"section", words[0]}}
	case section == "global":
		kind = "global"
	case words[0] == "bind":
		kind, options = "bind", 2
	case words[0] == "server":
		kind, options = "server", 3
	case words[0] == "default-server":
		kind, options = "server", 1
	case words[0] == "server-template":
		kind, options = "server", 4
	}
	if options > 0 {
		for _, w := range words[min(options, len(words)):] {
			out = append(out, keyword{kind, w})
		}
		return out
	}
	for n := min(4, len(words)); n > 0; n-- {
		name, _, _ := strings.Cut(strings.Join(words[:n], " "), "(")
		out = append(out, keyword{kind, name})
	}
	for _, m := range inSample.FindAllStringSubmatch(text, -1) {
		out = append(out, keyword{"fetch", m[1]})
	}
	for _, m := range inConverter.FindAllStringSubmatch(text, -1) {
		out = append(out, keyword{"converter", m[1]})
	}
	return out
}
