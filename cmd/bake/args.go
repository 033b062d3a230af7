package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// oneArg demands exactly one argument, and names it if it is missing.
func oneArg(name string) cobra.PositionalArgs { return wantArgs(1, 1, name) }

// wantArgs demands between least and most arguments, of the given names; most below 0 is no limit.
func wantArgs(least, most int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("cannot run %q: the argument %s is missing; usage: %s", c.CommandPath(), strings.Join(names[len(args):least], " "), c.UseLine())
		case most >= 0 && len(args) > most:
			return fmt.Errorf("cannot run %q: the argument %q is too many; usage: %s", c.CommandPath(), args[most], c.UseLine())
		}
		return nil
	}
}
