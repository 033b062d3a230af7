// Package nearest finds the word that a person probably meant.
package nearest

import (
	"fmt"
	"strings"
)

// OneOf says which word was probably meant by a wrong one, or else which words are valid: "did you mean "noble"?", "must be one of
// jammy, noble".
func OneOf(wrong string, words []string) string {
	if near := Word(wrong, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "must be one of " + strings.Join(words, ", ")
}

// Word returns the candidate with the smallest edit distance from s, or "" if none is near.
func Word(s string, candidates []string) string {
	if len(s) > 64 {
		return ""
	}
	best, least := "", max(1, len([]rune(s))/3)+1
	for _, c := range candidates {
		if d := distance([]rune(s), []rune(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance returns the number of insertions, deletions, replacements and swaps of adjacent characters that turn a into b.
func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range b {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
