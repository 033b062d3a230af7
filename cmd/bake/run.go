package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
	"github.com/hapair/hapair/internal/version"
)

// cannot is a failure to carry something out: exit status 3.
func cannot(format string, args ...any) error {
	return exitstatus.With(exitstatus.Failure, fmt.Errorf("cannot "+format, args...))
}

// env is what a command may touch of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	strict         bool // warnings are errors

	loaded *spec.Spec // what problems without a place are about
}

// run is bake without the process around it.
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
		fmt.Fprintf(stderr, "bake: %s\n", termsafe.Text(msg))
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
	}
	root.PersistentFlags().BoolVar(&e.json, "json", false, "print results and problems as JSON")
	root.PersistentFlags().BoolVar(&e.strict, "strict", false, "treat warnings about the spec as errors")
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newVersion(e))
	root.AddCommand(newInit(e))
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
	return root
}

// load reads a spec and tells its problems. An error means that the spec cannot be used.
func (e *env) load(path string) (*spec.Spec, error) {
	s, problems, err := spec.Read(path)
	if err != nil {
		return nil, exitstatus.With(exitstatus.Failure, err)
	}
	if err := e.tell(problems); err != nil {
		return nil, err
	}
	e.loaded = s
	return s, nil
}

// tell prints problems. An error means that there is more than warnings among them.
func (e *env) tell(problems diag.Problems) error {
	problems = e.severe(e.loaded.Place(problems))
	if e.json && problems.HasErrors() {
		if err := problems.PrintJSON(termsafe.Writer(e.stdout)); err != nil {
			return cannot("print the problems: %v", err)
		}
	} else {
		problems.Print(termsafe.Writer(e.stderr))
	}
	if problems.HasErrors() {
		return exitstatus.With(exitstatus.No, nil)
	}
	return nil
}

// severe makes errors of warnings under --strict.
func (e *env) severe(problems diag.Problems) diag.Problems {
	if e.strict {
		return problems.Strict()
	}
	return problems
}

// node finds a spec's node by its name.
func node(s *spec.Spec, name string) (*spec.Node, error) {
	var names []string
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i], nil
		}
		names = append(names, s.Nodes[i].Name)
	}
	return nil, exitstatus.With(exitstatus.Usage, fmt.Errorf("cannot find node %q: the spec has %s", name, strings.Join(names, ", ")))
}

// releaseOf is the release that a spec names, or the one that a flag insists on.
func releaseOf(s *spec.Spec, flag string) (release.Release, error) {
	if flag == "" {
		flag = s.Image.Release
	}
	r, err := release.Get(flag)
	if err != nil {
		return r, exitstatus.With(exitstatus.Usage, err)
	}
	if err := s.CheckFor(r).Err(); err != nil {
		return r, exitstatus.With(exitstatus.No, err)
	}
	return r, nil
}

// underRoot is where an absolute path of a machine lies below dir.
func underRoot(dir, path string) string { return filepath.Join(dir, filepath.FromSlash(path)) }
