package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hapair/hapair/internal/nearest"
)

// stdio is the name of stdin where a file is read, and of stdout where one is written.
const stdio = "-"

// oneArg returns a check for exactly one argument. Its error names the argument if it is missing.
func oneArg(name string) cobra.PositionalArgs { return wantArgs(1, 1, name) }

// noArgs checks that there is no argument.
func noArgs(c *cobra.Command, args []string) error { return wantArgs(0, 0)(c, args) }

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

// knownCommand is the check of a command that only has commands. Its error names the nearest one.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := nearest.Word(args[0], names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", c.CommandPath()+" "+near)
	}
	return errors.New(text)
}

// knownTopic is the check of help: its arguments must be a command.
func knownTopic(c *cobra.Command, args []string) error {
	found, rest, err := c.Root().Find(args)
	if err != nil {
		return err
	}
	return knownCommand(found, rest)
}

// flagError adds the nearest flag to the error of an unknown one.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("cannot run %q: %w; usage: %s", c.CommandPath(), err, c.UseLine())
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := nearest.Word(unknown.GetSpecifiedName(), names); near != "" && unknown.GetSpecifiedShortnames() == "" {
		return fmt.Errorf("%w; did you mean \"--%s\"?", err, near)
	}
	return fmt.Errorf("%w; usage: %s", err, c.UseLine())
}

// required returns an error if a flag that must be given was not.
func required(c *cobra.Command, name, value string) error {
	f := c.Flags().Lookup(name)
	if f.Value.String() != "" {
		return nil
	}
	flag := "--" + f.Name
	if f.Shorthand != "" {
		flag = "-" + f.Shorthand
	}
	return fmt.Errorf("cannot run %q: flag %s %s is missing; usage: %s", c.CommandPath(), flag, value, c.UseLine())
}
