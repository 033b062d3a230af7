// Package examples holds specs that work.
package examples

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names lists the examples in the order of the alphabet.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil // an embedded folder can be read
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Get returns an example; false where there is none of that name.
func Get(name string) ([]byte, bool) {
	data, err := files.ReadFile(name + ".yaml")
	return data, err == nil
}

// Title is what an example shows: its first line, without the comment's sign and the full stop.
func Title(name string) string {
	data, _ := Get(name)
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(line, "#")), ".")
}
