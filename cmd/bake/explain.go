package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/schema"
)

func newExplain(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [KEY]",
		Short: "Describe a key of the spec",
		Long: `Describe a key of the spec: its meaning, its values, and the keys in it. Without KEY, describe the keys of the whole spec.

A KEY is written with dots: services.check, services.servers.tls.`,
		Args:    wantArgs(0, 1, "KEY"),
		Example: `  bake explain services.check`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return schema.Keys(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			key := ""
			if len(args) > 0 {
				key = args[0]
			}
			text, err := schema.Explain(key)
			if err != nil {
				return exitstatus.With(exitstatus.Usage, err)
			}
			if _, err := fmt.Fprint(e.stdout, text); err != nil {
				return cannot("print the explanation: %v", err)
			}
			return nil
		},
	}
}
