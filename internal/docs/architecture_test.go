package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArchitectureNamesExist looks for the files, folders and identifiers that ARCHITECTURE.md names.
func TestArchitectureNamesExist(t *testing.T) {
	const root = "../../"
	page, err := os.ReadFile(root + "ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := func(pattern string) bool {
		for _, folder := range []string{"", "internal/"} {
			if found, err := filepath.Glob(root + folder + pattern); err == nil && found != nil {
				return true
			}
		}
		return false
	}
	var (
		quoted     = regexp.MustCompile("`([^` ]+)`")
		identifier = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w+)$`)
		paths      int
	)
	for _, m := range quoted.FindAllStringSubmatch(string(page), -1) {
		name := strings.TrimSuffix(m[1], "/…")
		if id := identifier.FindStringSubmatch(name); id != nil {
			if !declared(t, root, id[1], id[2]) {
				t.Errorf("ARCHITECTURE.md names %s, which no package declares", name)
			}
		} else if strings.Contains(name, "/") && !filepath.IsAbs(name) {
			paths++
			if !exists(name) {
				t.Errorf("ARCHITECTURE.md names %s, which does not exist", name)
			}
		}
	}
	if paths == 0 {
		t.Error("ARCHITECTURE.md names no file")
	}
}

// declared reports whether a package of the given name declares an exported identifier.
func declared(t *testing.T, root, name, exported string) bool {
	t.Helper()
	declaration := regexp.MustCompile(`(?m)^(func|type)( \([^)]*\))? ` + exported + `\b`)
	for _, pattern := range []string{"internal/" + name + "/*.go", "internal/*/" + name + "/*.go"} {
		files, err := filepath.Glob(root + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if declaration.Match(source) {
				return true
			}
		}
	}
	return false
}
