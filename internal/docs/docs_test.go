package docs

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated pages of docs/")

func TestSpec(t *testing.T) {
	const page = "../../docs/spec.md"
	got, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/spec.md is out of date; run 'make generate' (-file +generated):\n%s", diff)
	}
	for _, line := range strings.Split(string(got), "\n") {
		if strings.HasPrefix(line, "|") && strings.HasSuffix(line, "|  |") {
			t.Errorf("key without a description: %s", line)
		}
	}
}
