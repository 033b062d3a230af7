package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate go test -run TestReference -update .

const referenceIntroduction = `# bake

<!-- Written by "make generate" out of cmd/bake: change it there. -->

Messages go to stderr and results to stdout; ` + "`--json`" + ` prints results and problems for programs. Exit status: 0 done, 1 the
answer is no (an invalid spec), 2 wrong use, 3 could not be carried out. ` + "`bake completion SHELL`" + ` prints the shell's completion.
`

// TestReference keeps docs/bake.md what the command tree says.
func TestReference(t *testing.T) {
	const page = "../../docs/bake.md"
	got := reference(newRoot(&env{}))
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
		t.Errorf("docs/bake.md is not current; 'make generate' writes it anew (-there +current):\n%s", diff)
	}
}

// reference writes a section for each command.
func reference(root *cobra.Command) []byte {
	b := bytes.NewBufferString(referenceIntroduction)
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(b, "\n## bake %s\n\n", c.Use)
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintln(b, text)
		first := true
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			if first {
				fmt.Fprint(b, "\n| flag | |\n|---|---|\n")
				first = false
			}
			fmt.Fprintf(b, "| %s | %s |\n", flagName(f), flagUsage(f))
		})
	}
	return b.Bytes()
}

func flagName(f *pflag.Flag) string {
	name := "`--" + f.Name + "`"
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	return name
}

func flagUsage(f *pflag.Flag) string {
	usage := strings.ReplaceAll(f.Usage, "|", `\|`)
	if f.DefValue != "" && f.DefValue != "false" {
		usage += " (default: `" + f.DefValue + "`)"
	}
	return usage
}
