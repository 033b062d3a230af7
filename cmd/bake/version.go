package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/version"
)

func newVersion(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, which all programs of hapair share",
		Args:    noArgs,
		Example: `  bake version`,
		RunE: func(*cobra.Command, []string) error {
			if _, err := fmt.Fprintln(e.stdout, version.String()); err != nil {
				return cannot("print the version: %v", err)
			}
			return nil
		},
	}
}
