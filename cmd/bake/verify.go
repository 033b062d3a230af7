package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/cluster"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/paint"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/termsafe"
)

func newVerify(e *env) *cobra.Command {
	var login *remote.Login
	cmd := &cobra.Command{
		Use:   "verify SPEC",
		Short: "Check the running nodes over ssh: each step of the setup, and that each VIP has exactly one holder",
		Long: `Check the running nodes over ssh: each step of the setup on each node, and that each VIP has exactly one holder.

It runs "sudo -n ha-agent …" at each node's address with the ssh program, your ssh configuration and your keys.`,
		Args:    oneArg("SPEC"),
		Example: `  bake verify cluster.yaml --user admin`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := e.load(args[0])
			if err != nil {
				return err
			}
			var r cluster.Report
			e.wait("query the nodes over ssh", func(waitFor func(string)) { r = cluster.Verify(cmd.Context(), login, s, waitFor) })
			return e.printAnswers(r)
		},
	}
	login = loginFlags(cmd.Flags())
	return cmd
}

// printAnswers prints the answers. It returns an error if a check failed or a node could not be queried.
func (e *env) printAnswers(r cluster.Report) error {
	if e.json {
		enc := json.NewEncoder(termsafe.Writer(e.stdout))
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return cannot("print the report: %v", err)
		}
	} else {
		printReport(termsafe.Writer(paint.For(e.stdout, os.Getenv)), r)
	}
	if code := r.Status(); code != exitstatus.OK {
		return exitstatus.With(code, nil)
	}
	return nil
}

func printReport(w io.Writer, r cluster.Report) {
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "%s\n", n.Node)
		if n.Err != "" {
			fmt.Fprintln(w, notAnswered(n.Err, n.Try))
		}
		n.Steps.Print(w)
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "cluster")
	r.Cluster.Print(w)
}

// notAnswered returns a line that says why a node gave no answer, and what the user can try.
func notAnswered(why, try string) string {
	line := "NOT " + termsafe.Line(why)
	if try != "" {
		line += " — " + termsafe.Line(try)
	}
	return line
}
