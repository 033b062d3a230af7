package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newValidate(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "validate SPEC",
		Short: "Tell everything that is wrong with a spec",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := e.load(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s: %d nodes, %d VIPs, %d services: valid\n", args[0], len(s.Nodes), len(s.VIPs), len(s.Services))
			return nil
		},
	}
}
