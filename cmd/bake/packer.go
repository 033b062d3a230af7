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

// packerFlags are those of `bake packer`.
type packerFlags struct{ output, builder, release, agent string }

func newPacker(e *env) *cobra.Command {
	var f packerFlags
	c := &cobra.Command{
		Use:   "packer SPEC -o DIR",
		Short: "Write a Packer build of the golden image",
		Args:  oneArg("SPEC"),
		RunE:  func(c *cobra.Command, args []string) error { return e.packer(c.Context(), args[0], f) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "the folder to write to: DIR/"+template.File+" (required)")
	flags.StringVar(&f.builder, "builder", "hapair-chroot", "Packer's builder: "+strings.Join(template.Builders(), ", "))
	flags.StringVar(&f.agent, "agent", "", "the ha-agent to install (default: the one beside bake, else the one that the plugin finds)")
	flags.StringVar(&f.release, "release", "", "the release to write for, instead of the spec's: "+strings.Join(release.Names(), ", "))
	return c
}

func (e *env) packer(ctx context.Context, path string, f packerFlags) error {
	if f.output == "" {
		return exitstatus.With(exitstatus.Usage, errors.New("cannot write anywhere: name a folder with -o DIR"))
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
		return cannot("make the folder: %v", err)
	}
	if b.Spec, err = fromFolder(f.output, path); err != nil {
		return cannot("name the spec in the build: %v", err)
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

// fromFolder is the path of file as seen from the folder dir. Links are resolved first: ".." leads out of what a link
// points to, not out of where the link lies.
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

// agentPath settles which ha-agent the build names; empty leaves it to the plugin.
func (f packerFlags) agentPath() (string, error) {
	if f.agent != "" {
		path, err := filepath.Abs(f.agent)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return "", cannot("use the ha-agent of --agent: %v", err)
		}
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", cannot("find the ha-agent beside bake: %v; name it with --agent PATH", err)
	}
	beside := filepath.Join(filepath.Dir(self), "ha-agent")
	if _, err := os.Stat(beside); err != nil {
		return "", nil
	}
	return beside, nil
}

// writeBuild writes the template, and the build's key where it needs one and has none yet. A template that somebody has
// edited is left alone.
func writeBuild(dir string, b template.Build, hcl []byte) ([]string, error) {
	path := filepath.Join(dir, template.File)
	switch old, err := regular.ReadFile(path, regular.MaxState); {
	case err == nil && !bytes.Equal(old, hcl):
		return nil, fmt.Errorf("cannot write %s: there is another one, which may have been edited; remove it, or name another folder with -o", path)
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

// writeKey makes a pair of keys unless there is one. The private key comes last: where it is, the public one is too.
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

// nextSteps are the commands that come after this one.
func nextSteps(dir string, b template.Build) []string {
	packer := "packer"
	if template.NeedsRoot(b.Builder) {
		packer = "sudo packer" // root has plugins of its own
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
