package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hapair/hapair/internal/man"
)

// newMan returns the hidden command that writes the manual pages of all commands, for packages.
func newMan(e *env) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:    "man -o DIR",
		Short:  "Write the manual pages of all commands",
		Args:   noArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "output", "DIR"); err != nil {
				return err
			}
			for _, page := range manPages(cmd.Root()) {
				path := filepath.Join(dir, fmt.Sprintf("%s.%d", page.Name, page.Section))
				f, err := os.Create(path)
				if err != nil {
					return cannot("write a manual page: %v", err)
				}
				if err := page.Write(f); err != nil {
					return cannot("write %s: %v", path, err)
				}
				if err := f.Close(); err != nil {
					return cannot("write %s: %v", path, err)
				}
				fmt.Fprintln(e.stdout, path)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "", "the directory to write to (required)")
	return cmd
}

// manPages returns the page of a command and those of its commands.
func manPages(c *cobra.Command) []man.Page {
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	page := man.Page{
		Name: name, Section: 1, Short: c.Short, Synopsis: []string{c.UseLine()},
		Description: c.Long, Examples: c.Example, Exit: man.ExitStatus,
	}
	if page.Description == "" {
		page.Description = c.Short + "."
	}
	var pages []man.Page
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		page.Commands = append(page.Commands, man.Item{Term: strings.TrimPrefix(sub.CommandPath(), c.CommandPath()+" "), Text: sub.Short})
		page.SeeAlso = append(page.SeeAlso, strings.ReplaceAll(sub.CommandPath(), " ", "-")+"(1)")
		pages = append(pages, manPages(sub)...)
	}
	if c.HasParent() {
		page.SeeAlso = append([]string{strings.ReplaceAll(c.Parent().CommandPath(), " ", "-") + "(1)"}, page.SeeAlso...)
	} else {
		page.SeeAlso = append(page.SeeAlso, "ha-agent(8)")
	}
	option := func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		term := strings.TrimSpace("--" + f.Name + " " + kind)
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			usage += " (default: " + f.DefValue + ")"
		}
		page.Options = append(page.Options, man.Item{Term: term, Text: usage})
	}
	c.NonInheritedFlags().VisitAll(option)
	c.InheritedFlags().VisitAll(option)
	return append([]man.Page{page}, pages...)
}
