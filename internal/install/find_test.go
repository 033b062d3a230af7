package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindAgent(t *testing.T) {
	make := func(dir string) string {
		path := filepath.Join(dir, agentName)
		if err := os.WriteFile(path, []byte("x"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named, beside, inPath, nowhere := make(t.TempDir()), make(t.TempDir()), make(t.TempDir()), t.TempDir()
	program := func(dir string) string { return filepath.Join(dir, "bake") }
	t.Setenv("PATH", filepath.Dir(inPath))
	installed, none := make(t.TempDir()), filepath.Join(nowhere, "none")
	for _, c := range []struct{ named, program, installed, want string }{
		{named, program(filepath.Dir(beside)), installed, named},
		{"", program(filepath.Dir(beside)), installed, beside},
		{"", program(nowhere), installed, installed},
		{"", program(nowhere), none, inPath},
	} {
		if got, err := findAgent(c.named, c.program, c.installed); err != nil || got != c.want {
			t.Errorf("FindAgent = %q, %v; want %q", got, err, c.want)
		}
	}
	t.Setenv("PATH", nowhere)
	for _, named := range []string{"", nowhere, filepath.Join(nowhere, "x")} {
		if got, err := findAgent(named, program(nowhere), none); err == nil || !strings.Contains(err.Error(), "go build ./cmd/ha-agent") {
			t.Errorf("FindAgent without an agent = %q, %v", got, err)
		}
	}
}
