package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/outdir"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// renderMark is in every folder that render made, and in no other: a folder without it is not replaced. It lists the files.
const renderMark = ".rendered-by-bake"

func newRender(e *env) *cobra.Command {
	var output, releaseName, nodeName string
	c := &cobra.Command{
		Use:   "render SPEC -o DIR",
		Short: "Write each node's files as they will lie on it, to read and to diff",
		Args:  oneArg("SPEC"),
		RunE: func(c *cobra.Command, args []string) error {
			if output == "" {
				return errors.New("cannot write anywhere: name a folder with -o DIR")
			}
			s, r, err := e.loadFor(c.Context(), args[0], releaseName)
			if err != nil {
				return err
			}
			return e.render(s, r, nodeName, output)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&output, "output", "o", "", "the folder to write to: DIR/NODE/etc/haproxy/haproxy.cfg and so on (required)")
	flags.StringVar(&releaseName, "release", "", "the release to write for, instead of the spec's: "+strings.Join(release.Names(), ", "))
	flags.StringVar(&nodeName, "node", "", "only the files of this node")
	return c
}

// rendered is a file of a node, as `render --json` tells it.
type rendered struct {
	Node  string `json:"node"`
	Path  string `json:"path"`  // on the node
	File  string `json:"file"`  // here
	Mode  string `json:"mode"`  // on the node: "0640"
	Owner string `json:"owner"` // on the node: root:haproxy
}

// render computes everything before it writes anything.
func (e *env) render(s *spec.Spec, r release.Release, nodeName, dir string) error {
	nodes := s.Nodes
	if nodeName != "" {
		n, err := node(s, nodeName)
		if err != nil {
			return err
		}
		nodes = []spec.Node{*n}
	}
	recipes := make([]recipe.Recipe, len(nodes))
	for i := range nodes {
		var err error
		if recipes[i], err = wholeRecipe(s, &nodes[i], r); err != nil {
			return e.renderError(err)
		}
	}
	for i := range nodes {
		if err := replaceable(filepath.Join(dir, nodes[i].Name)); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
	}
	list := []rendered{}
	for i := range nodes {
		folder := filepath.Join(dir, nodes[i].Name)
		if err := replaceFolder(folder, s.Cluster, recipes[i].Files); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
		for _, f := range recipes[i].Files {
			list = append(list, rendered{nodes[i].Name, f.Path, underRoot(folder, f.Path), fmt.Sprintf("%#o", f.Mode), f.Owner + ":" + f.Group})
		}
	}
	if nodeName == "" {
		if err := e.sweep(dir, renderMark, s); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
	}
	return e.printRendered(list)
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

// wholeRecipe is all that lies on a node.
func wholeRecipe(s *spec.Spec, n *spec.Node, r release.Release) (recipe.Recipe, error) {
	image, err := recipe.Image(s, r)
	if err != nil {
		return recipe.Recipe{}, err
	}
	identity, err := recipe.Node(s, n, r)
	if err != nil {
		return recipe.Recipe{}, err
	}
	return recipe.Merge(image, identity), nil
}

// renderError gives an error its exit status: a spec that cannot be rendered, for want of a password for instance, is a
// no.
func (e *env) renderError(err error) error {
	var problems diag.Problems
	if errors.As(err, &problems) {
		return e.tell(problems)
	}
	return exitstatus.With(exitstatus.No, err)
}

// replaceable tells whether a folder may be replaced: it is not there, it is empty, or an earlier render made it.
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
		return fmt.Errorf("cannot replace %s: bake render did not make it; name another folder with -o, or remove it", folder)
	}
	return nil
}

// replaceFolder puts files into a folder beside the old one, which goes once the new one is whole.
func replaceFolder(folder, cluster string, files []recipe.File) (err error) {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder to write to: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), ".render-")
	if err != nil {
		return fmt.Errorf("cannot make a folder to write to: %w", err)
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

// putBack undoes the first half of an exchange of folders.
func putBack(old, folder string) error {
	if err := os.Rename(old, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot put the old %s back: %w", folder, err)
	}
	return nil
}

// writeTree writes files below a folder. Their modes are those on the node, so that nobody else reads here what nobody
// else may read there; their owner is who runs bake.
func writeTree(dir, cluster string, files []recipe.File) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", dir, err)
	}
	mark := outdir.NewMark(cluster)
	for _, f := range files {
		path := underRoot(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("cannot make the folder of %s: %w", f.Path, err)
		}
		if err := os.WriteFile(path, f.Content, f.Mode); err != nil {
			return fmt.Errorf("cannot write %s: %w", f.Path, err)
		}
		if err := os.Chmod(path, f.Mode); err != nil { // whatever the umask
			return fmt.Errorf("cannot set the mode of %s: %w", f.Path, err)
		}
		mark.Add(f.Path, f.Content)
	}
	return mark.Write(dir, renderMark)
}
