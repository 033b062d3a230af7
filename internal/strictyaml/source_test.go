package strictyaml

import (
	"strings"
	"testing"
)

// Whatever else is wrong with a file, what may be a secret is not shown.
func TestSecretsAreMasked(t *testing.T) {
	for name, text := range map[string]string{
		"literal":          "stats:\n  password: [hunter2]\n",
		"beside a problem": "stats: {port: x, password: hunter2, name: 5}",
		"quoted":           `stats: {port: x, "password": "hunter2"}`,
		"escaped key":      `stats: {port: x, "p\u0061ssword": "hunter2"}`,
		"misspelt":         "stats: {pasword: hunter2, port: x}",
		"misspelt badly":   "stats: {passwrd: hunter2, port: x}",
		"other key":        "free: {a: 0640, api_token: hunter2}",
		"block":            "stats:\n  port: x\n  password: |\n    hunter2\n  name: 5\n",
		"block, broken":    "stats:\n  password: |\n    a\n    hunter2\n   - bad\n",
		"folded":           "stats:\n  password:\n    hunter2: {port: x}\n",
		"as a key":         "stats: {password: {hunter2: x}}",
		"as a list":        "stats:\n  password:\n    - hunter2\n    - x: [\n",
		"broken":           "stats: {password: hunter2",
		"broken later":     "stats: {password: hunter2}\nitems: [",
		"literal in value": "stats: {password: {file: a, x: hunter2}, port: x}",
		"second document":  "name: a\n--- {password: hunter2}\n",
		"long line":        "stats: {port: x, name: " + strings.Repeat("n", 150) + ", password: hunter2}",
		"after reference":  "stats: {port: x, password: {file: a}, secret: hunter2}",
	} {
		t.Run(name, func(t *testing.T) {
			var v sample
			problems := Decode("f.yaml", []byte(text), &v).Problems()
			if len(problems) == 0 {
				t.Fatal("there is no problem to show")
			}
			var out strings.Builder
			problems.Print(&out)
			if err := problems.PrintJSON(&out); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), "hunter2") {
				t.Errorf("the secret is shown:\n%s", out.String())
			}
		})
	}
}

// What only says where a secret is helps to understand a problem, and is shown.
func TestReferencesAreShown(t *testing.T) {
	var v sample
	ps := Decode("f.yaml", []byte("stats: {port: x, password: {file: secrets/stats}}"), &v).Problems()
	if len(ps) == 0 || ps[0].Source != "stats: {port: x, password: {file: secrets/stats}}" {
		t.Errorf("got %+v", ps)
	}
}
