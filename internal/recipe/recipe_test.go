package recipe_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/spec"
)

// secret is the value of every password of a spec in tests.
const secret = "correct-horse"

// parse reads a spec. All its secrets have the same value.
func parse(t *testing.T, path string) *spec.Spec {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseBytes(t, path, data)
}

func parseBytes(t *testing.T, path string, data []byte) *spec.Spec {
	t.Helper()
	s, problems := spec.Parse(path, data, spec.Sources{
		ReadFile:  readFile,
		LookupEnv: func(string) (string, bool) { return secret, true },
	})
	if problems.HasErrors() {
		var out strings.Builder
		problems.Print(&out)
		t.Fatal(out.String())
	}
	return s
}

func readFile(name string) ([]byte, error) {
	if name == "own.cfg" {
		return []byte("# a haproxy.cfg of one's own\n"), nil
	}
	return []byte(secret + "\n"), nil
}

// examples returns the paths of all specs that must work: the examples for users, and those of the tests.
func examples(t *testing.T) map[string]*spec.Spec {
	t.Helper()
	specs := map[string]*spec.Spec{}
	for _, pattern := range []string{"../../examples/*.yaml", "testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no spec matches %s: %v", pattern, err)
		}
		for _, file := range files {
			specs[strings.TrimSuffix(filepath.Base(file), ".yaml")] = parse(t, file)
		}
	}
	return specs
}
