// Package sysctl reads files of sysctl.d(5).
package sysctl

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Setting is a line of a file.
type Setting struct {
	// Key is in the form with dots: net.ipv4.conf.eth0/1.forwarding for the interface eth0.1. It may be a pattern.
	Key   string
	Value string
	// Optional is the prefix "-": an error does not matter.
	Optional bool
	// Excluded is "-KEY" without a value: patterns in other files leave the key alone. It sets nothing.
	Excluded bool
}

// Parse reads a file. A line that sets nothing is an error with its number; the settings of the other lines are returned
// with it.
func Parse(file string) ([]Setting, error) {
	var all []Setting
	var bad error
	n := 0
	for line := range strings.Lines(file) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, assigned := strings.Cut(line, "=")
		key, optional := strings.CutPrefix(strings.TrimSpace(key), "-")
		key = strings.TrimSpace(key)
		if key == "" || !assigned && !optional {
			if bad == nil {
				bad = fmt.Errorf("line %d is not KEY = VALUE: %.80q", n, line)
			}
			continue
		}
		all = append(all, Setting{Key: dotted(key), Value: strings.TrimSpace(value), Optional: optional, Excluded: !assigned})
	}
	return all, bad
}

// Value returns what a file sets a key to, or "". A later line overrides an earlier one. Lines that cannot be read are left out.
func Value(file, key string) string {
	value := ""
	all, _ := Parse(file)
	for _, s := range all {
		if s.Key == key && !s.Excluded {
			value = s.Value
		}
	}
	return value
}

// IsPattern reports whether the key stands for several settings.
func (s Setting) IsPattern() bool { return strings.ContainsAny(s.Key, "*?[") }

// Path returns the file of the setting below proc, which is /proc/sys. It is never outside of proc.
func (s Setting) Path(proc string) string {
	return filepath.Join(proc, filepath.Clean("/"+swap(s.Key)))
}

// dotted brings a key into the form with dots. The first separator that it has is the one that it means.
func dotted(key string) string {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '/' {
		return swap(key)
	}
	return key
}

// swap exchanges dots and slashes.
func swap(key string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
}
