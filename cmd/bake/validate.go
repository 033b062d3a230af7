package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/paint"
	"github.com/hapair/hapair/internal/preflight"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

func newValidate(e *env) *cobra.Command {
	var releaseName, cloudName string
	c := &cobra.Command{
		Use:   "validate SPEC",
		Short: "Check a spec and report all problems",
		Long: `Check a spec and report all problems, each with its position and a hint.

It runs all later steps for every node without writing anything, and reports the errors that they would report. If haproxy and
keepalived are installed, they test the configuration that would be generated for them, including raw lines in the spec.
Files that exist only on the nodes, such as certificates, need not exist here.

If SPEC is a folder, it checks all specs in it and in its folders, in parallel, and ends with a summary.`,
		Args: oneArg("SPEC"),
		Example: `  bake validate cluster.yaml
  bake validate clusters/
  bake validate cluster.yaml --release trixie --cloud ec2 --strict`,
		RunE: func(c *cobra.Command, args []string) error {
			return e.validate(c.Context(), args[0], releaseName, cloudName)
		},
	}
	flags := c.Flags()
	flags.StringVar(&releaseName, "release", "", "check for this release instead of the spec's: "+strings.Join(release.Names(), ", "))
	flags.StringVar(&cloudName, "cloud", cloudinit.NoCloud, "also check for this cloud: "+strings.Join(cloudinit.CloudNames(), ", "))
	return c
}

func (e *env) validate(ctx context.Context, path, releaseName, cloudName string) error {
	cloud, err := cloudinit.GetCloud(cloudName)
	if err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	if releaseName != "" {
		if _, err := release.Get(releaseName); err != nil {
			return exitstatus.With(exitstatus.Usage, err)
		}
	}
	if isFolder(path) {
		return e.validateFolder(ctx, path, releaseName, cloud)
	}
	var s *spec.Spec
	var problems diag.Problems
	e.wait(judging, func(func(string)) { s, problems, err = preflight.Validate(ctx, path, releaseName, cloud) })
	if err != nil {
		return err
	}
	return e.printValidity(path, s, e.severe(problems))
}

// validity is what `bake validate --json` prints.
type validity struct {
	Valid    bool          `json:"valid"`
	Problems diag.Problems `json:"problems"`
}

// printValidity prints all problems, and whether the spec is valid. It returns an error if the spec is not valid.
func (e *env) printValidity(path string, s *spec.Spec, problems diag.Problems) error {
	valid := !problems.HasErrors()
	if e.json {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(validity{valid, append(diag.Problems{}, problems...)}); err != nil {
			return cannot("print the problems: %v", err)
		}
	} else {
		problems.Print(termsafe.Writer(paint.For(e.stderr, os.Getenv)))
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

// count returns a number and its noun, in the plural unless the number is 1.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
