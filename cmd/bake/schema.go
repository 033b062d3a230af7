package main

import (
	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/schema"
)

func newSchema(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the spec, for editors",
		Long: `Print the JSON Schema of the spec (draft 2020-12), for editors.

Write it beside the spec, and name it in the spec's first line:

    bake schema > cluster.schema.json

    # yaml-language-server: $schema=./cluster.schema.json`,
		Args:    noArgs,
		Example: `  bake schema >cluster.schema.json`,
		RunE: func(*cobra.Command, []string) error {
			data, err := schema.Generate()
			if err != nil {
				return exitstatus.With(exitstatus.Failure, err)
			}
			if _, err := e.stdout.Write(data); err != nil {
				return cannot("print the schema: %v", err)
			}
			return nil
		},
	}
}
