package dpkg

import (
	"cmp"
	"strings"
)

// Compare returns -1, 0 or 1 if version a is older than, equal to, or newer than b. See deb-version(7).
func Compare(a, b string) int {
	epochA, upstreamA, revisionA := split(a)
	epochB, upstreamB, revisionB := split(b)
	return cmp.Or(comparePart(epochA, epochB), comparePart(upstreamA, upstreamB), comparePart(revisionA, revisionB))
}

// split splits a version into epoch, upstream version and Debian revision.
func split(v string) (epoch, upstream, revision string) {
	epoch, upstream, found := strings.Cut(v, ":")
	if !found {
		epoch, upstream = "0", v
	}
	if i := strings.LastIndexByte(upstream, '-'); i >= 0 {
		upstream, revision = upstream[:i], upstream[i+1:]
	}
	return epoch, upstream, revision
}

// comparePart alternately compares a part without digits and a number.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		textA, restA := cutDigits(a, false)
		textB, restB := cutDigits(b, false)
		if c := compareText(textA, textB); c != 0 {
			return c
		}
		var numberA, numberB string
		numberA, a = cutDigits(restA, true)
		numberB, b = cutDigits(restB, true)
		numberA, numberB = strings.TrimLeft(numberA, "0"), strings.TrimLeft(numberB, "0")
		if c := cmp.Or(cmp.Compare(len(numberA), len(numberB)), strings.Compare(numberA, numberB)); c != 0 {
			return c
		}
	}
	return 0
}

// cutDigits cuts the leading digits (or, if digits is false, the leading non-digits) off s.
func cutDigits(s string, digits bool) (front, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9') == digits {
		i++
	}
	return s[:i], s[i:]
}

// compareText compares texts: a tilde sorts before the end of the text, the end before letters, and letters before other
// characters.
func compareText(a, b string) int {
	for i := 0; i < len(a) || i < len(b); i++ {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'a' && s[i] <= 'z', s[i] >= 'A' && s[i] <= 'Z':
		return int(s[i])
	}
	return int(s[i]) + 256
}
