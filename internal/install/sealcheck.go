package install

import (
	"fmt"
	"strings"
)

// homesFunction sets the variable homes to the home directories of all accounts, one per line. A builder may have created an
// account with any home directory.
const homesFunction = `
homes=$({ echo /root; ls -d /home/* 2>/dev/null; cut -d: -f6 /etc/passwd; } | grep '^/[^/]' |
	grep -Evx '` + noHome + `' | sort -u)
`

// sealCheck returns a script that prints everything that sealing should have removed. Left does the same for an image that
// does not run.
func sealCheck() string {
	var system, homes strings.Builder
	for _, t := range traces() {
		b := &system
		var words []string
		for _, p := range t.paths {
			if rest, ok := strings.CutPrefix(p, "~/"); ok {
				b, p = &homes, `"$home"/`+rest
			}
			words = append(words, p)
		}
		fmt.Fprintf(b, "for f in %s; do\n\t%s\ndone\n", strings.Join(words, " "), t.test())
	}
	return "set -u\nbad=0\nleft() { echo \"$1\"; bad=1; }\n" + homesFunction + system.String() +
		"while IFS= read -r home; do\n" + homes.String() + "done <<END\n$homes\nEND\nexit $bad\n"
}

// test returns the part of the script that examines the file named by the variable f.
func (t trace) test() string {
	left := `left "$f ` + t.fault + `"`
	switch t.kind {
	case empty:
		return `[ ! -s "$f" ] || ` + left
	case without:
		return `if [ -f "$f" ] && grep -Eqs -e ` + Quote(t.pattern) + ` "$f"; then ` + left + `; fi`
	case only:
		return `if [ -s "$f" ] && ! grep -qsx -e ` + Quote(t.pattern) + ` "$f"; then ` + left + `; fi`
	case emptyFiles:
		return `full=$(find "$f" -xdev -type f -size +0 2>/dev/null)
	[ -z "$full" ] || left "$f ` + t.fault + `: $full"`
	}
	return `[ ! -e "$f" ] && [ ! -L "$f" ] || ` + left
}
