package strictyaml

import (
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
)

// Text that may be a secret must not be shown, whatever is wrong with the file.
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
			hidesTheSecret(t, Decode("f.yaml", []byte(text), &v).Problems())
		})
	}
}

// hidesTheSecret checks that problems are printed without the secret, in both formats.
func hidesTheSecret(t *testing.T, problems diag.Problems) {
	t.Helper()
	if len(problems) == 0 {
		t.Fatal("the file has no problem")
	}
	var out strings.Builder
	problems.Print(&out)
	if err := problems.PrintJSON(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("the secret is shown:\n%s", out.String())
	}
}

// The reference to a secret may be shown, because it helps to understand a problem.
func TestReferencesAreShown(t *testing.T) {
	var v sample
	ps := Decode("f.yaml", []byte("stats: {port: x, password: {file: secrets/stats}}"), &v).Problems()
	if len(ps) == 0 || ps[0].Source != "stats: {port: x, password: {file: secrets/stats}}" {
		t.Errorf("problems %+v", ps)
	}
}

// service is a type with raw text and with a secret beside other keys.
type service struct {
	Name  string         `yaml:"name"`
	Port  int            `yaml:"port"`
	Lines string         `yaml:"lines" strictyaml:"raw"`
	Free  map[string]any `yaml:"free"`
	Login struct {
		User     string `yaml:"user"`
		Password own    `yaml:"password" strictyaml:"secret"`
	} `yaml:"login"`
}

func TestHiddenText(t *testing.T) {
	for name, text := range map[string]string{
		"raw, flow":                     "{lines: hunter2, port: x}",
		"raw, quoted key":               "{'lines': hunter2, port: x}",
		"raw, wrong type":               "lines: [hunter2]\nport: x\n",
		"raw, number":                   "lines: 0x1F\nport: x\nlines: hunter2\n",
		"raw, broken":                   "lines: hunter2\n port: [\n",
		"raw block, broken":             "lines: |\n  stats auth a\n  x hunter2\n - bad\n",
		"raw block, broken in it":       "lines: >\n  hunter2: x\n hunter2: [\nname: a\n",
		"free":                          "free: {a: hunter2, b: 0640}\n",
		"free, list":                    "free:\n  a: [hunter2, 0640]\n",
		"free, broken":                  "free: {a: hunter2, [\n",
		"free, broken below":            "free:\n  a: hunter2\n  b: [\n",
		"unknown key beside a secret":   "login: {user: a, auth: hunter2}",
		"unknown key in a block":        "login:\n  user: a\n  pw: hunter2\n",
		"secret as a key":               "login: {user: a, hunter2: x}",
		"secret as a key, unknown":      "login: {hunter2}",
		"secret instead of a mapping":   "login: hunter2",
		"secret as a list":              "login: [hunter2]",
		"unknown key":                   "auth: a:hunter2\n",
		"unknown key with a mapping":    "auth: {a: hunter2}\n",
		"unknown key for the mapping":   "lgoin: hunter2",
		"unknown key for a long secret": "text: hunter2-hunter2-hunter2-hunter2",
		"alias":                         "login: {user: a, password: *hunter2}",
		"alias beside a secret":         "login: {user: a, auth: hunter2, password: *p}",
		"broken, below":                 "login:\n  user: a\n  hunter2\n  port: [\n",
		"broken, unknown key":           "x_auth: a: hunter2\n",
		"broken, flow":                  "login: {user: a, auth: hunter2",
		"alias in a block":              "name: a\nlogin:\n  password: *hunter2\n",
		"alias elsewhere":               "name: *hunter2\n",
		"a file with the secret":        "hunter2\n",
		"a file with a list of secrets": "- hunter2\n",
	} {
		t.Run(name, func(t *testing.T) {
			var v service
			hidesTheSecret(t, Decode("f.yaml", []byte(text), &v).Problems())
		})
	}
}

func TestUnknownAnchorHasItsPlace(t *testing.T) {
	var v service
	ps := Decode("f.yaml", []byte("name: a\nport: *p\n"), &v).Problems()
	if len(ps) != 1 || ps[0].Line != 2 || ps[0].Source != "port: ***" {
		t.Errorf("problems %+v", ps)
	}
}
