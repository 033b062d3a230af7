package tool

import (
	"regexp"
	"slices"
	"strings"
)

// MaskSecrets takes secrets out of what a program says about a configuration file, of which it may quote a line: what
// follows a word that announces a secret, misspelt or not, every hash, and every word of the file that follows one.
func MaskSecrets(messages []string, config []byte) []string {
	key := regexp.MustCompile(`(?i)([\w-]*(?:pass|pasw|psswo|secret|token|psk)[\w-]*|\b(?:auth|auth_hmac|crypt|hmac|key)\b)(['":=]*\s+['"]?|[=:]['"]?)([^\s'"]+)`)
	hash := regexp.MustCompile(`\$[0-9a-z]{1,2}\$[^\s'"]+`) // of crypt(3)
	var secrets []string
	for line := range strings.Lines(string(config)) {
		for _, m := range key.FindAllStringSubmatch(line, -1) {
			for _, word := range append(strings.SplitN(m[3], ":", 2), m[3]) {
				// A short word is no secret but a keyword, and would be masked all over the place.
				if len(word) >= 6 {
					secrets = append(secrets, word)
				}
			}
		}
	}
	// the longest first: one may be a part of another
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	masked := make([]string, len(messages))
	for i, m := range messages {
		for _, s := range secrets {
			m = strings.ReplaceAll(m, s, "(secret)")
		}
		m = key.ReplaceAllString(m, "${1}${2}(secret)")
		masked[i] = hash.ReplaceAllString(m, "(secret)")
	}
	return masked
}
