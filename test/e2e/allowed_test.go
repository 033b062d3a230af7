package e2e

import (
	"regexp"
	"sync"
)

// allowed is a difference between a golden and a stock node that is no fault.
type allowed struct {
	pattern string // of the whole key of an inventory
	reason  string
}

// allowedDifferences lists all of them.
func allowedDifferences() []allowed {
	return []allowed{
		{`(file|content) /etc/apt/apt\.conf\.d/90lab`, "of this test: the lab's proxy"},
	}
}

var allowedPatterns = sync.OnceValue(func() map[string]*regexp.Regexp {
	patterns := map[string]*regexp.Regexp{}
	for _, a := range allowedDifferences() {
		patterns[a.pattern] = regexp.MustCompile("^(?:" + a.pattern + ")$")
	}
	return patterns
})

// allowedDifference is the pattern that allows a key to differ; empty if none does.
func allowedDifference(key string) string {
	for pattern, re := range allowedPatterns() {
		if re.MatchString(key) {
			return pattern
		}
	}
	return ""
}
