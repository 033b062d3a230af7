package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/packer/template"
)

// packerFlags are the flags of `bake packer`.
type packerFlags struct{ output, builder, release, agent string }

func newPacker(e *env) *cobra.Command {
	var f packerFlags
	c := &cobra.Command{
		Use:     "packer SPEC -o DIR",
		Short:   "Write a Packer build of the golden image",
		Args:    oneArg("SPEC"),
		Example: `  bake packer cluster.yaml -o packer --builder qemu`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "output", "DIR"); err != nil {
				return err
			}
			return e.packer(c.Context(), args[0], f)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write DIR/"+template.File+" to this folder (required)")
	flags.StringVar(&f.builder, "builder", "hapair-chroot", "the Packer builder: "+strings.Join(template.Builders(), ", "))
	flags.StringVar(&f.agent, "agent", "", "the ha-agent to install (default: ha-agent in the directory of bake; otherwise the plugin searches for it)")
	flags.StringVar(&f.release, "release", "", "use this release instead of the spec's: "+strings.Join(release.Names(), ", "))
	return c
}

func (e *env) packer(ctx context.Context, path string, f packerFlags) error {
	if path == stdio {
		return exitstatus.With(exitstatus.Usage, errors.New("cannot write a build for a spec from stdin: the build names the file of the spec"))
	}
	if err := template.CheckBuilder(f.builder); err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	s, r, err := e.loadFor(ctx, path, f.release)
	if err != nil {
		return err
	}
	b := template.Build{Builder: f.builder, Cluster: s.Cluster, Release: r}
	if b.Agent, err = f.agentPath(); err != nil {
		return err
	}
	if err := os.MkdirAll(f.output, 0o755); err != nil {
		return cannot("create the output folder: %v", err)
	}
	if b.Spec, err = fromFolder(f.output, path); err != nil {
		return cannot("find the path from the output folder to the spec: %v", err)
	}
	hcl, err := template.HCL(b)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	written, err := writeBuild(f.output, b, hcl)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	return e.printBuild(f.output, b, written)
}

// fromFolder returns the path of file relative to the folder dir. It resolves symbolic links first, because ".." leads to
// the parent of a link's target and not to the parent of the link.
func fromFolder(dir, file string) (string, error) {
	from, err := realPath(dir)
	if err != nil {
		return "", err
	}
	to, err := realPath(filepath.Dir(file))
	if err != nil {
		return "", err
	}
	return filepath.Rel(from, filepath.Join(to, filepath.Base(file)))
}

func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// agentPath returns the path of ha-agent for the build. If it is empty, the plugin searches for ha-agent.
func (f packerFlags) agentPath() (string, error) {
	if f.agent != "" {
		path, err := filepath.Abs(f.agent)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return "", cannot("use the ha-agent named by --agent: %v", err)
		}
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", cannot("find the ha-agent beside bake: %v; give its path with --agent PATH", err)
	}
	beside := filepath.Join(filepath.Dir(self), "ha-agent")
	if _, err := os.Stat(beside); err != nil {
		return "", nil
	}
	return beside, nil
}

// writeBuild writes the template, and the build's key if the build needs one and has none yet. It does not overwrite a
// template that differs, because a person may have edited it.
func writeBuild(dir string, b template.Build, hcl []byte) ([]string, error) {
	path := filepath.Join(dir, template.File)
	switch old, err := regular.ReadFile(path, regular.MaxState); {
	case err == nil && !bytes.Equal(old, hcl):
		return nil, fmt.Errorf("cannot write %s: the file exists with other content, and may have been edited; remove it, or name another folder with -o", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := durable.WriteFile(path, hcl, 0o644, durable.Keep, durable.Keep); err != nil {
		return nil, err
	}
	if !template.NeedsKey(b.Builder) {
		return []string{path}, nil
	}
	private, public := filepath.Join(dir, template.PrivateKey), filepath.Join(dir, template.PublicKey)
	return []string{path, private, public}, writeKey(private, public)
}

// writeKey generates a key pair unless there is one. It writes the private key last, so that the public key exists whenever
// the private key does.
func writeKey(private, public string) error {
	if _, err := os.Lstat(private); err == nil {
		return nil
	}
	key, line, err := template.NewKey()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(public, line, 0o644, durable.Keep, durable.Keep); err != nil {
		return err
	}
	return durable.WriteFile(private, key, 0o600, durable.Keep, durable.Keep)
}

func (e *env) printBuild(dir string, b template.Build, written []string) error {
	if e.json {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(written)
	}
	for _, path := range written {
		fmt.Fprintln(e.stdout, path)
	}
	fmt.Fprintf(e.stderr, "next: %s\n", strings.Join(nextSteps(dir, b), "\n      "))
	return nil
}

// nextSteps returns the commands that the user should run next.
func nextSteps(dir string, b template.Build) []string {
	packer := "packer"
	if template.NeedsRoot(b.Builder) {
		packer = "sudo packer" // root has its own plugin directory
	}
	steps := []string{
		"go build -o bin/ ./cmd/...",
		packer + " plugins install --path bin/packer-plugin-hapair github.com/hapair/hapair",
	}
	if template.NeedsPlugin(b.Builder) {
		steps = append(steps, packer+" init "+dir)
	}
	build := packer + " build"
	for _, name := range template.Required(b) {
		build += " -var " + name + "=…"
	}
	return append(steps, build+" "+dir)
}
