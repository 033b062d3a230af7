// Package generated compares generated files with what a test generates.
package generated

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Check fails the test if the file at path does not have the generated content. With update, it writes the file.
func Check(t testing.TB, path string, content []byte, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(file), string(content)); diff != "" {
		t.Errorf("%s is out of date; run 'make generate' (-file +generated):\n%s", path, diff)
	}
}
