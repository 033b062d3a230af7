package syntax

import (
	"slices"
	"testing"
)

// TestWords also reads each line with an empty quoted word before its comment: lines with and without quotes are split by
// different code.
func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                   nil,
		" \t\r\n":                            nil,
		"# server a":                         nil,
		"\tserver  a 10.0.0.1:80\tcheck\r\n": {"server", "a", "10.0.0.1:80", "check"},
		"acl a path /x#y z":                  {"acl", "a", "path", "/x"},
		"a\u00a0b \vc\rd":                    {"a\u00a0b", "\vc\rd"},
		"a \xff":                             {"a", "\ufffd"},
	} {
		if got := Words(line); !slices.Equal(got, want) {
			t.Errorf("Words(%q) = %q, want %q", line, got, want)
		}
		if got := Words("'' " + line); !slices.Equal(got, append([]string{""}, want...)) {
			t.Errorf("Words(%q) = %q, want an empty word and %q", "'' "+line, got, want)
		}
	}
	if got, want := Words(`log-format "a  #b" c\ d 'e\f'`), []string{"log-format", "a  #b", "c d", `e\f`}; !slices.Equal(got, want) {
		t.Errorf("Words = %q, want %q", got, want)
	}
}
