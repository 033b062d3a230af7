package docs

import (
	"flag"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/generated"
)

var update = flag.Bool("update", false, "write the generated pages of docs/")

func TestSpec(t *testing.T) {
	got, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	generated.Check(t, "../../docs/spec.md", got, *update)
	for _, line := range strings.Split(string(got), "\n") {
		if strings.HasPrefix(line, "|") && strings.HasSuffix(line, "|  |") {
			t.Errorf("key without a description: %s", line)
		}
	}
}
