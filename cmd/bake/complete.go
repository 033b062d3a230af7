package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/drill"
	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/packer/template"
)

// addCompletion adds completion of arguments and flags to a command and its commands, by their names: an argument SPEC is a
// YAML file everywhere, and a flag --release a release. A command that has its own completion keeps it.
func addCompletion(c *cobra.Command) {
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = completeArgument(c)
	}
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		complete := completeFlag(c, f)
		if _, has := c.GetFlagCompletionFunc(f.Name); complete == nil || has {
			return
		}
		if err := c.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(err) // cannot happen: the flag exists, and has no completion yet
		}
	})
	for _, sub := range c.Commands() {
		addCompletion(sub)
	}
}

// completeArgument returns the completion of the arguments that a command's usage names.
func completeArgument(c *cobra.Command) cobra.CompletionFunc {
	var kinds []string
	for _, word := range strings.Fields(c.Use)[1:] {
		if strings.HasPrefix(word, "-") {
			break
		}
		kinds = append(kinds, strings.Trim(word, "[]."))
	}
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(kinds) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		switch kinds[len(args)] {
		case "SPEC":
			return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		case "DIR":
			return nil, cobra.ShellCompDirectiveFilterDirs
		case "NODE":
			return drill.Nodes(), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}

// completeFlag returns the completion of a flag's value, or nil if it is a file or unknown.
func completeFlag(c *cobra.Command, f *pflag.Flag) cobra.CompletionFunc {
	words := func(list []string) cobra.CompletionFunc {
		return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
	}
	switch f.Name {
	case "release":
		return words(release.Names())
	case "cloud":
		return words(cloudinit.CloudNames())
	case "builder":
		return words(template.Builders())
	case "example":
		return words(examples.Names())
	case "format":
		var names []string
		for _, format := range image.Formats() {
			names = append(names, string(format))
		}
		return words(names)
	case "fault":
		return completeList(drill.FaultNames())
	case "node":
		if strings.Contains(c.Use, "SPEC") {
			return completeNode
		}
	case "image":
		if c.Name() == "cloud-init" {
			return words([]string{string(cloudinit.Golden), string(cloudinit.Stock)})
		}
	case "output":
		if strings.Contains(c.Use, "-o DIR") {
			return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
		}
	}
	return nil
}

// completeList completes the last word of a list that is separated by commas. A word is offered once.
func completeList(words []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		var list []cobra.Completion
		for _, word := range words {
			if !slices.Contains(strings.Split(before, ","), word) {
				list = append(list, before+word)
			}
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// completeNode completes the names of the nodes of the spec that was already typed.
func completeNode(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, _, err := spec.Read(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for i := range s.Nodes {
		names = append(names, s.Nodes[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
