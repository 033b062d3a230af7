package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/nearest"
	"github.com/hapair/hapair/internal/paint"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
	"github.com/hapair/hapair/internal/version"
)

// cannot returns an error with exit status 3: the command could not be carried out.
func cannot(format string, args ...any) error {
	return exitstatus.With(exitstatus.Failure, fmt.Errorf("cannot "+format, args...))
}

// env is a command's connection to the outside: its streams and global flags.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	strict         bool // warnings are errors

	loaded *spec.Spec // the spec that problems without a file refer to
}

// run runs bake with the given arguments and streams, and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitstatus.OK
	}
	code := exitstatus.Of(err, exitstatus.Usage)
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(termsafe.Writer(paint.For(stderr, os.Getenv)), "bake: %s\n", termsafe.Text(msg))
	}
	if code == exitstatus.Usage {
		fmt.Fprintln(stderr, "bake: see 'bake help'")
	}
	return code
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:           "bake",
		Short:         "Golden images and first-boot configuration of highly available load balancers, from one YAML file",
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		Example: `  bake init -o cluster.yaml
  bake validate cluster.yaml
  sudo bake image cluster.yaml -o golden.qcow2`,
	}
	root.PersistentFlags().BoolVar(&e.json, "json", false, "print results and problems as JSON")
	root.PersistentFlags().BoolVar(&e.strict, "strict", false, "treat warnings about the spec as errors")
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newVersion(e))
	root.AddCommand(newInit(e))
	root.AddCommand(newImport(e))
	root.AddCommand(newValidate(e))
	root.AddCommand(newRender(e))
	root.AddCommand(newExplain(e))
	root.AddCommand(newSchema(e))
	root.AddCommand(newPacker(e))
	root.AddCommand(newCloudInit(e))
	root.AddCommand(newImage(e))
	root.AddCommand(newInspect(e))
	root.AddCommand(newDiff(e))
	root.AddCommand(newDrill(e))
	root.AddCommand(newVerify(e))
	root.AddCommand(newRollout(e))
	root.AddCommand(newRollback(e))
	root.AddCommand(newMan(e))
	root.SetFlagErrorFunc(flagError)
	addCompletion(root)
	root.AddCommand(newServer(e))
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = knownTopic
	}
	return root
}

// node returns the node of a spec with the given name.
func node(s *spec.Spec, name string) (*spec.Node, error) {
	var names []string
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i], nil
		}
		names = append(names, s.Nodes[i].Name)
	}
	return nil, exitstatus.With(exitstatus.Usage, fmt.Errorf("cannot find node %q: %s", name, nearest.OneOf(name, names)))
}

// underRoot returns the location of an absolute path of a machine below dir.
func underRoot(dir, path string) string { return filepath.Join(dir, filepath.FromSlash(path)) }
