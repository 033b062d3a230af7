// Package examples contains tested specs.
package examples

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names returns the names of the examples, sorted.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil // cannot happen: the folder is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Get returns the example with a name, or false if there is none.
func Get(name string) ([]byte, bool) {
	data, err := files.ReadFile(name + ".yaml")
	return data, err == nil
}

// Title returns the first line of an example, without the comment sign and the full stop.
func Title(name string) string {
	data, _ := Get(name)
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(line, "#")), ".")
}
