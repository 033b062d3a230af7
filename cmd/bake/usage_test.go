package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hapair/hapair/internal/drill"
	"github.com/hapair/hapair/internal/exitstatus"
)

// each calls f for a command and all commands below it that a user can see.
func each(c *cobra.Command, f func(c *cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			each(sub, f)
		}
	}
}

// TestExamples parses each example of each --help with the real command: its flags, their values and its arguments.
func TestExamples(t *testing.T) {
	each(newRoot(&env{}), func(c *cobra.Command) {
		if c.Example == "" {
			t.Errorf("%s --help has no example", c.CommandPath())
		}
		for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
			checkExample(t, c, strings.TrimSpace(line))
		}
	})
}

func checkExample(t *testing.T, c *cobra.Command, line string) {
	t.Helper()
	words := shellWords(line)
	if len(words) > 0 && words[0] == "sudo" {
		words = words[1:]
	}
	if len(words) == 0 || words[0] != "bake" {
		t.Errorf("%s: the example %q does not run bake", c.CommandPath(), line)
		return
	}
	root := newRoot(&env{})
	found, args, err := root.Find(words[1:])
	group := c.HasAvailableSubCommands() && strings.HasPrefix(found.CommandPath(), c.CommandPath()+" ") // of commands, such as bake server
	if err == nil && c.HasParent() && found.CommandPath() != c.CommandPath() && !group {
		t.Errorf("%s: the example %q runs %s", c.CommandPath(), line, found.CommandPath())
	}
	if err == nil {
		err = found.ParseFlags(args)
	}
	if err == nil {
		err = found.ValidateArgs(found.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
		return
	}
	found.Flags().Visit(func(f *pflag.Flag) {
		if complete, ok := found.GetFlagCompletionFunc(f.Name); ok && f.Name != "node" && f.Name != "output" {
			for _, value := range strings.Split(strings.Trim(f.Value.String(), "[]"), ",") {
				if list, _ := complete(found, nil, ""); !slices.Contains(list, value) {
					t.Errorf("%s: the example %q has %q for --%s, which is none of %q", c.CommandPath(), line, value, f.Name, list)
				}
			}
		}
	})
}

// shellWords splits a command line at blanks outside of quotes. Redirections are removed.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quote := rune(0)
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote = r
		case r == ' ':
			if w := word.String(); w != "" && !strings.HasPrefix(w, ">") && !strings.HasPrefix(w, "<") {
				words = append(words, w)
			}
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	return words
}

// TestCompletion asks for completion as a shell does.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile(filepath.Join(dir, "cluster.yaml"), exampleSpec(t), 0o644); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"validate |":                             "yaml\nyml\n:8\n",
		"validate cluster.yaml --release n|":     "noble\n:4\n",
		"validate cluster.yaml --cloud az|":      "azure\n:4\n",
		"render cluster.yaml --node |":           "controller_1\ncontroller_2\n:4\n",
		"render cluster.yaml -o |":               ":16\n",
		"packer cluster.yaml --builder q|":       "qemu\n:4\n",
		"init --example mu|":                     "multicast\n:4\n",
		"image cluster.yaml --format vm|":        "vmdk\n:4\n",
		"cloud-init cluster.yaml --image s|":     "stock\n:4\n",
		"drill cluster.yaml --fault reb|":        "reboot\n:6\n",
		"drill cluster.yaml --fault reload,reb|": "reload,reboot\n:6\n",
		"explain services.check.h|":              "services.check.headers\nservices.check.hello\nservices.check.host\nservices.check.http\n:4\n",
		"val|":                                   "validate\tCheck a spec and report all problems\n:4\n",
	} {
		args := append([]string{"__complete"}, strings.Split(strings.TrimSuffix(line, "|"), " ")...)
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != exitstatus.OK {
			t.Fatalf("%q: status %d, %s", line, code, stderr.String())
		}
		// The shell's script takes those that begin with what was typed.
		var offered []string
		for word := range strings.Lines(stdout.String()) {
			if strings.HasPrefix(word, args[len(args)-1]) || strings.HasPrefix(word, ":") || want == "yaml\nyml\n:8\n" {
				offered = append(offered, word)
			}
		}
		if got := sortedLines(strings.Join(offered, "")); got != sortedLines(want) {
			t.Errorf("%q: got\n%swant\n%s", line, got, want)
		}
	}
}

func sortedLines(s string) string {
	lines := strings.SplitAfter(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func exampleSpec(t *testing.T) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"init"}, nil, &stdout, &stderr); code != exitstatus.OK {
		t.Fatal(stderr.String())
	}
	return stdout.Bytes()
}

// TestUsageErrors checks that a wrong command line gets the nearest word, or the name of what is missing.
func TestUsageErrors(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile(filepath.Join(dir, "cluster.yaml"), exampleSpec(t), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir) // no haproxy judges the spec
	if err := os.MkdirAll("examples/secrets", 0o700); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"valdate cluster.yaml":                          `unknown command "valdate"; did you mean "bake validate"?`,
		"help valdate":                                  `unknown command "valdate"; did you mean "bake validate"?`,
		"help server drian":                             `unknown command "drian"; did you mean "bake server drain"?`,
		"server drian web/web1 cluster.yaml":            `unknown command "drian"; did you mean "bake server drain"?`,
		"frobnicate":                                    `unknown command "frobnicate"`,
		"validate cluster.yaml --relase noble":          `unknown flag: --relase; did you mean "--release"?`,
		"validate cluster.yaml --release":               `cannot run "bake validate": flag needs an argument: --release; usage: bake validate SPEC`,
		"validate cluster.yaml --release nobel":         `did you mean "noble"?`,
		"validate cluster.yaml --cloud openstak":        `did you mean "openstack"?`,
		"packer cluster.yaml -o x --builder qenu":       `did you mean "qemu"?`,
		"drill cluster.yaml --fault reboo":              `did you mean "reboot"?`,
		"init --example controler":                      `did you mean "controllers"?`,
		"image cluster.yaml":                            `cannot run "bake image": flag -o FILE is missing; usage: bake image SPEC -o FILE`,
		"render cluster.yaml":                           `cannot run "bake render": flag -o DIR is missing`,
		"cloud-init cluster.yaml":                       `cannot run "bake cloud-init": flag -o DIR is missing`,
		"packer cluster.yaml":                           `cannot run "bake packer": flag -o DIR is missing`,
		"packer - -o x":                                 "cannot write a build for a spec from stdin",
		"schema x":                                      `cannot run "bake schema": unexpected argument "x"`,
		"image cluster.yaml -o -":                       "cannot write an image to stdout",
		"drill cluster.yaml --report - --json-report -": "cannot write both reports to stdout",
		"diff": `argument A is missing`,
		"drill cluster.yaml --fault " + drill.FaultNames()[0] + "x": `did you mean "` + drill.FaultNames()[0] + `"?`,
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Split(line, " "), strings.NewReader(""), &stdout, &stderr)
		if code != exitstatus.Usage || !strings.Contains(stderr.String(), want) {
			t.Errorf("bake %s: status %d, %q; want %q", line, code, stderr.String(), want)
		}
	}
}
