package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/outdir"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// renderMark is a file in each folder that render made. It lists the files. render does not replace a folder without it.
const renderMark = ".rendered-by-bake"

func newRender(e *env) *cobra.Command {
	var output, releaseName, nodeName string
	c := &cobra.Command{
		Use:   "render SPEC -o DIR",
		Short: "Write each node's files as they will be on the node, for reading and comparing",
		Long: `Write each node's files as they will be on the node, for reading and comparing.

If SPEC is a folder, it writes the files of all specs in it and in its folders, in parallel: those of team/edge.yaml to
DIR/team/edge. It ends with a summary.`,
		Args: oneArg("SPEC"),
		Example: `  bake render cluster.yaml -o rendered
  bake render clusters/ -o rendered
  bake render cluster.yaml -o rendered --node lb1 --release trixie`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "output", "DIR"); err != nil {
				return err
			}
			if isFolder(args[0]) {
				if nodeName != "" {
					return fmt.Errorf("cannot use --node with the folder %s: name one spec", args[0])
				}
				return e.renderFolder(c.Context(), args[0], releaseName, output)
			}
			s, r, err := e.loadFor(c.Context(), args[0], releaseName)
			if err != nil {
				return err
			}
			return e.render(s, r, nodeName, output)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&output, "output", "o", "", "write DIR/NODE/etc/haproxy/haproxy.cfg and the other files to this folder (required)")
	flags.StringVar(&releaseName, "release", "", "use this release instead of the spec's: "+strings.Join(release.Names(), ", "))
	flags.StringVar(&nodeName, "node", "", "write only the files of this node")
	return c
}

// rendered is a file of a node in the output of `render --json`.
type rendered struct {
	Node  string `json:"node"`
	Path  string `json:"path"`  // on the node
	File  string `json:"file"`  // on this machine
	Mode  string `json:"mode"`  // on the node: "0640"
	Owner string `json:"owner"` // on the node: root:haproxy
}

// render writes the files of a spec's nodes, or of one of them, and prints their names.
func (e *env) render(s *spec.Spec, r release.Release, nodeName, dir string) error {
	nodes := s.Nodes
	if nodeName != "" {
		n, err := node(s, nodeName)
		if err != nil {
			return err
		}
		nodes = []spec.Node{*n}
	}
	list, err := renderNodes(s, r, nodes, dir)
	if err != nil {
		return e.renderError(err)
	}
	if nodeName == "" {
		if err := e.sweep(dir, renderMark, s); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
	}
	return e.printRendered(list)
}

// renderNodes writes the files of nodes. It computes all files before it writes the first one. An error without an exit status is
// one of the spec.
func renderNodes(s *spec.Spec, r release.Release, nodes []spec.Node, dir string) ([]rendered, error) {
	recipes, errs := make([]recipe.Recipe, len(nodes)), make([]error, len(nodes))
	var running sync.WaitGroup
	for i := range nodes {
		running.Go(func() { recipes[i], errs[i] = recipe.Whole(s, &nodes[i], r) })
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	for i := range nodes {
		if err := replaceable(filepath.Join(dir, nodes[i].Name)); err != nil {
			return nil, exitstatus.With(exitstatus.Failure, err)
		}
	}
	list := []rendered{}
	for i := range nodes {
		folder := filepath.Join(dir, nodes[i].Name)
		if err := replaceFolder(folder, s.Cluster, recipes[i].Files); err != nil {
			return nil, exitstatus.With(exitstatus.Failure, err)
		}
		for _, f := range recipes[i].Files {
			list = append(list, rendered{nodes[i].Name, f.Path, underRoot(folder, f.Path), fmt.Sprintf("%#o", f.Mode), f.Owner + ":" + f.Group})
		}
	}
	return list, nil
}

func (e *env) printRendered(list []rendered) error {
	if e.json {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	for _, f := range list {
		fmt.Fprintln(e.stdout, f.File)
	}
	return nil
}

// renderError adds the exit status to an error: a spec that cannot be rendered, for example because a password is missing,
// is a negative result.
func (e *env) renderError(err error) error {
	var problems diag.Problems
	if errors.As(err, &problems) {
		return e.printProblems(problems)
	}
	return exitstatus.With(exitstatus.Of(err, exitstatus.No), err)
}

// replaceable returns an error if a folder may not be replaced. It may if it does not exist, is empty, or was made by an
// earlier render.
func replaceable(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot write to %s: %w", folder, err)
	case len(entries) == 0:
		return nil
	}
	if _, err := os.Lstat(filepath.Join(folder, renderMark)); err != nil {
		return fmt.Errorf("cannot replace %s: it was not created by bake render; name another folder with -o, or remove it", folder)
	}
	return nil
}

// replaceFolder writes files to a new folder, and replaces the old folder when the new one is complete.
func replaceFolder(folder, cluster string, files []recipe.File) (err error) {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return fmt.Errorf("cannot create the output folder: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), ".render-")
	if err != nil {
		return fmt.Errorf("cannot create a temporary folder: %w", err)
	}
	defer os.RemoveAll(work)
	made, old := filepath.Join(work, "new"), filepath.Join(work, "old")
	if err := writeTree(made, cluster, files); err != nil {
		return err
	}
	if err := os.Rename(folder, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot move the old %s away: %w", folder, err)
	}
	if err := os.Rename(made, folder); err != nil {
		return errors.Join(fmt.Errorf("cannot put %s in place: %w", folder, err), putBack(old, folder))
	}
	return nil
}

// putBack renames the old folder back after a failed replacement.
func putBack(old, folder string) error {
	if err := os.Rename(old, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot put the old %s back: %w", folder, err)
	}
	return nil
}

// writeTree writes files below a folder. They have the modes that they have on the node, so that a secret file is secret
// here too. Their owner is the user who runs bake.
func writeTree(dir, cluster string, files []recipe.File) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("cannot create %s: %w", dir, err)
	}
	mark := outdir.NewMark(cluster)
	for _, f := range files {
		path := underRoot(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("cannot create the folder of %s: %w", f.Path, err)
		}
		if err := os.WriteFile(path, f.Content, f.Mode); err != nil {
			return fmt.Errorf("cannot write %s: %w", f.Path, err)
		}
		if err := os.Chmod(path, f.Mode); err != nil { // independent of the umask
			return fmt.Errorf("cannot set the mode of %s: %w", f.Path, err)
		}
		mark.Add(f.Path, f.Content)
	}
	return mark.Write(dir, renderMark)
}
