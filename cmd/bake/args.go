package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// oneArg returns a check for exactly one argument. Its error names the argument if it is missing.
func oneArg(name string) cobra.PositionalArgs { return wantArgs(1, 1, name) }

// wantArgs returns a check for least to most arguments with the given names. A negative most means no limit.
func wantArgs(least, most int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("cannot run %q: argument %s is missing; usage: %s", c.CommandPath(), strings.Join(names[len(args):least], " "), c.UseLine())
		case most >= 0 && len(args) > most:
			return fmt.Errorf("cannot run %q: unexpected argument %q; usage: %s", c.CommandPath(), args[most], c.UseLine())
		}
		return nil
	}
}
