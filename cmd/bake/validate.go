package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/spec"
)

func newValidate(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "validate SPEC",
		Short: "Tell everything that is wrong with a spec",
		Long: `Tell everything that is wrong with a spec, each with its place and the way out.

If haproxy and keepalived are installed, they judge the configuration that would be generated for them, and with it the
lines that the spec passes through. What exists on the nodes alone, such as certificates, need not exist here.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, problems, err := spec.Read(args[0])
			if err != nil {
				return exitstatus.With(exitstatus.Failure, err)
			}
			if !problems.HasErrors() {
				r, err := releaseOf(s, "")
				if err != nil {
					return err
				}
				refused, err := e.judge(c.Context(), s, r)
				if err != nil {
					return err
				}
				problems = append(problems, refused...)
				problems.Sort()
			}
			return e.tellValidity(args[0], s, problems)
		},
	}
}

// validity is what `bake validate --json` prints.
type validity struct {
	Valid    bool          `json:"valid"`
	Problems diag.Problems `json:"problems"`
}

// tellValidity prints all problems, and whether the spec is valid. An error means that it is not.
func (e *env) tellValidity(path string, s *spec.Spec, problems diag.Problems) error {
	valid := !problems.HasErrors()
	if e.json {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(validity{valid, append(diag.Problems{}, problems...)}); err != nil {
			return cannot("print the problems: %v", err)
		}
	} else {
		problems.Print(e.stderr)
	}
	switch {
	case !valid:
		return exitstatus.With(exitstatus.No, nil)
	case !e.json:
		fmt.Fprintf(e.stdout, "%s is valid: %s, %s, %s\n", path,
			count(len(s.Nodes), "node"), count(len(s.VIPs), "VIP"), count(len(s.Services), "service"))
	}
	return nil
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
