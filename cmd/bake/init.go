package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/nearest"
)

func newInit(e *env) *cobra.Command {
	var example, output string
	var list, ask bool
	var first firstSpec
	c := &cobra.Command{
		Use:   "init",
		Short: "Print a commented spec to start from, or generate a first one",
		Long:  "Print a commented spec to start from, or write it to a file. With --node, --vip and --service, or with --ask, generate\na first spec.\n\nExamples: " + strings.Join(examples.Names(), ", ") + ".",
		Args:  noArgs,
		Example: `  bake init -o cluster.yaml
  bake init --node lb1=192.0.2.11/24@eth0 --node lb2=192.0.2.12/24@eth0 --vip web=192.0.2.10/24 \
      --service web=web:80/http,192.0.2.21:8080,192.0.2.22:8080 -o cluster.yaml`,
		RunE: func(*cobra.Command, []string) error {
			if list {
				return e.listExamples()
			}
			if ask {
				if err := first.ask(e.stdin, e.stderr); err != nil {
					return cannot("read the answers: %v", err)
				}
			}
			if ask || first.wanted() {
				return e.initSpec(&first, output)
			}
			data, ok := examples.Get(example)
			if !ok {
				return exitstatus.With(exitstatus.Usage, fmt.Errorf("cannot find example %q: %s", example, nearest.OneOf(example, examples.Names())))
			}
			return e.writeSpec(output, data)
		},
	}
	c.Flags().StringVar(&example, "example", "controllers", "name of the example to start from")
	c.Flags().StringVar(&first.cluster, "cluster", "", "name of the cluster, for --node, --vip and --service")
	c.Flags().StringArrayVar(&first.nodes, "node", nil, "generate a spec with the node `NAME=ADDRESS/PREFIX@INTERFACE`; can be repeated")
	c.Flags().StringArrayVar(&first.vips, "vip", nil, "generate a spec with the virtual IP `NAME=ADDRESS/PREFIX`; can be repeated")
	c.Flags().StringArrayVar(&first.service, "service", nil, "generate a spec with the service `NAME=VIP:PORT/MODE,SERVER:PORT,…`; can be repeated")
	c.Flags().BoolVar(&ask, "ask", false, "ask for nodes, virtual IPs and services, and generate a spec from the answers")
	c.Flags().BoolVar(&list, "list", false, "list the examples with a short description")
	c.Flags().StringVarP(&output, "output", "o", "", "write the spec to this file, which must not exist yet; - is stdout")
	if err := c.RegisterFlagCompletionFunc("example", cobra.FixedCompletions(examples.Names(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // cannot happen: the flag is defined above
	}
	return c
}

// listExamples prints each example with a description.
func (e *env) listExamples() error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, name := range examples.Names() {
		fmt.Fprintf(w, "%s\t%s\n", name, examples.Title(name))
	}
	if err := w.Flush(); err != nil {
		return cannot("print the examples: %v", err)
	}
	return nil
}

// writeSpec prints a spec, or writes it to a new file. It never overwrites a file, because a person may have edited it.
func (e *env) writeSpec(path string, data []byte) error {
	if path == "" || path == stdio {
		if _, err := e.stdout.Write(data); err != nil {
			return cannot("print the spec: %v", err)
		}
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return exitstatus.With(exitstatus.No, fmt.Errorf("cannot write %s: the file already exists", path))
	}
	if err != nil {
		return cannot("write the spec: %v", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return cannot("write the spec: %v", errors.Join(err, os.Remove(path)))
	}
	fmt.Fprintf(e.stderr, "wrote %s; edit it, then check it with 'bake validate %s'\n", path, path)
	return nil
}
