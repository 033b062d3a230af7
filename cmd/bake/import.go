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

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/adopt"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/preflight"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

func newImport(e *env) *cobra.Command {
	var output string
	var environment []string
	var o adopt.Options
	var overSSH bool
	var login *remote.Login
	c := &cobra.Command{
		Use:   "import FILE|DIR|HOST…",
		Short: "Write the spec of a pair that somebody set up by hand, and a review of it",
		Long: `Write the spec of a pair that somebody set up by hand, from its haproxy.cfg and keepalived.conf, and report what was taken,
what was passed through as lines, and what was wrong with the pair.

Give the files, or a folder for each node that has them: bake import lb1 lb2. A keepalived.conf need not exist. The report ends
with a proof: every frontend, backend and server of the old haproxy.cfg, with what it inherits, is compared with the file that
is rendered from the spec.

Passwords are not written to the spec: the one of the stats page goes to the file stats.password beside the spec, and those of
userlists become hashes. Files that the configuration names are copied to the folder files, if they are beside haproxy.cfg.

It exits with 1 if the spec is not valid yet, or if something could not be taken.`,
		Example: `  bake import haproxy.cfg keepalived.conf -o spec.yaml
  bake import old/lb1 old/lb2 -o spec.yaml
  bake import --ssh lb1.example.org lb2.example.org -o spec.yaml
  bake import haproxy.cfg --vip www=192.0.2.10/24 --node lb1=192.0.2.11/24@ens3 --node lb2=192.0.2.12/24@ens3`,
		Args: wantArgs(1, -1, "FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.Env, err = readEnv(environment); err != nil {
				return err
			}
			if o.Release != "" {
				if _, err := release.Get(o.Release); err != nil {
					return exitstatus.With(exitstatus.Usage, err)
				}
			}
			load := adopt.Load
			if overSSH {
				load = func(hosts []string) ([]adopt.Node, error) { return e.loadOverSSH(c.Context(), login, hosts) }
			}
			nodes, err := load(args)
			if e := (*remote.Error)(nil); errors.As(err, &e) && e.Try != "" {
				return cannot("import the pair: %s; %s", e.Why, e.Try)
			}
			if err != nil {
				return exitstatus.With(exitstatus.Failure, err)
			}
			return e.importPair(c.Context(), nodes, o, output)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&output, "output", "o", "", "write the spec to this file, which must not exist yet, and other files beside it")
	flags.BoolVar(&overSSH, "ssh", false, "the arguments are hosts: read their /etc/haproxy and /etc/keepalived over ssh, without certificates and keys")
	login = loginFlags(flags)
	flags.StringVar(&o.Cluster, "cluster", "", "name of the cluster (default imported)")
	flags.StringVar(&o.Release, "release", "", "release of the new nodes: "+strings.Join(release.Names(), ", "))
	flags.StringArrayVar(&environment, "env", nil, "value of a variable of haproxy's environment that haproxy.cfg uses, as `NAME=VALUE`; can be repeated")
	flags.StringArrayVar(&o.VIPs, "vip", nil, "virtual IP of a pair without keepalived.conf, as `NAME=ADDRESS/PREFIX`; can be repeated")
	flags.StringArrayVar(&o.Nodes, "node", nil, "node that the files do not describe, as `NAME=ADDRESS/PREFIX@INTERFACE`; can be repeated")
	return c
}

// readEnv reads the values of --env.
func readEnv(values []string) (map[string]string, error) {
	env := map[string]string{}
	for _, text := range values {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("cannot use --env %q: must be NAME=VALUE", text)
		}
		env[name] = value
	}
	return env, nil
}

// loadOverSSH reads the files of running nodes.
func (e *env) loadOverSSH(ctx context.Context, login *remote.Login, hosts []string) ([]adopt.Node, error) {
	var nodes []adopt.Node
	for _, host := range hosts {
		var files map[string][]byte
		var err error
		e.wait("read the files of "+host, func(func(string)) {
			files, err = login.Files(ctx, remote.Host{Name: host, Address: host}, "/etc/haproxy", "/etc/keepalived")
		})
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, adopt.FromFiles(host, files))
	}
	return nodes, nil
}

// imported is what `bake import --json` prints.
type imported struct {
	Whole    bool            `json:"whole"` // nothing is lost, and the spec is valid
	Spec     string          `json:"spec"`
	Files    []string        `json:"files"`
	Fields   map[string]int  `json:"fields"`
	Findings []adopt.Finding `json:"findings"`
	Proof    adopt.Proof     `json:"proof"`
	Problems diag.Problems   `json:"problems"`
}

func (e *env) importPair(ctx context.Context, nodes []adopt.Node, o adopt.Options, output string) error {
	r, err := adopt.Import(nodes, o)
	if err != nil {
		return exitstatus.With(exitstatus.No, err)
	}
	path := output
	if path == "" {
		dir, err := os.MkdirTemp("", "hapair-import-")
		if err != nil {
			return cannot("make a temporary folder: %v", err)
		}
		defer os.RemoveAll(dir)
		path = filepath.Join(dir, "spec.yaml")
	}
	if err := writeImported(path, r); err != nil {
		return err
	}
	proof, problems, err := e.proveImport(ctx, path, r)
	if err != nil {
		return err
	}
	whole := proof.Equal && !problems.HasErrors() && !r.Has(adopt.Lost)
	if err := e.printImported(r, imported{whole, output, fileNames(r), r.Fields, r.Findings, proof, problems}); err != nil {
		return cannot("print the report: %v", err)
	}
	if !whole {
		return exitstatus.With(exitstatus.No, nil)
	}
	return nil
}

func fileNames(r *adopt.Result) []string {
	names := []string{}
	for _, f := range r.Files {
		names = append(names, f.Name)
	}
	return names
}

// writeImported writes the spec and the files beside it. It does not overwrite a file.
func writeImported(path string, r *adopt.Result) error {
	dir := filepath.Dir(path)
	names := []string{path}
	for _, f := range r.Files {
		names = append(names, filepath.Join(dir, f.Name))
	}
	for _, name := range names {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return exitstatus.With(exitstatus.No, fmt.Errorf("cannot write %s: the file already exists", name))
		}
	}
	for i, f := range r.Files {
		name, mode := names[i+1], fs.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return cannot("write %s: %v", name, err)
		}
		if err := durable.WriteFile(name, f.Data, mode, os.Getuid(), os.Getgid()); err != nil {
			return cannot("write %s: %v", name, err)
		}
	}
	if err := durable.WriteFile(path, r.Spec, 0o644, os.Getuid(), os.Getgid()); err != nil {
		return cannot("write %s: %v", path, err)
	}
	return nil
}

// proveImport validates the spec, and compares what it renders with the old file.
func (e *env) proveImport(ctx context.Context, path string, r *adopt.Result) (adopt.Proof, diag.Problems, error) {
	var s *spec.Spec
	var problems diag.Problems
	var err error
	cloud, err := cloudinit.GetCloud(cloudinit.NoCloud)
	if err != nil {
		return adopt.Proof{}, nil, err
	}
	e.wait(judging, func(func(string)) { s, problems, err = preflight.Validate(ctx, path, "", cloud) })
	if err != nil {
		return adopt.Proof{}, nil, err
	}
	problems = e.severe(problems)
	if len(s.Nodes) == 0 {
		return adopt.Proof{}, problems, nil
	}
	rel, err := release.Get(s.Image.Release)
	if err != nil {
		return adopt.Proof{}, nil, exitstatus.With(exitstatus.Failure, err)
	}
	rendered, err := haproxycfg.Render(s, &s.Nodes[0], rel.HAProxy)
	if err != nil {
		if !problems.HasErrors() {
			problems = append(problems, diag.Problem{Severity: diag.Error, File: path, Message: err.Error()})
		}
		return adopt.Proof{}, problems, nil
	}
	return r.Prove(string(rendered)), problems, nil
}

// printImported prints the report: to stderr if the spec goes to stdout.
func (e *env) printImported(r *adopt.Result, all imported) error {
	if e.json {
		if all.Spec == "" {
			all.Spec = string(r.Spec)
		}
		enc := json.NewEncoder(termsafe.Writer(e.stdout))
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	out := e.stdout
	if all.Spec == "" {
		if _, err := e.stdout.Write(r.Spec); err != nil {
			return err
		}
		out = e.stderr
	}
	var b bytes.Buffer
	r.Print(&b, all.Proof)
	if _, err := termsafe.Writer(out).Write(b.Bytes()); err != nil {
		return err
	}
	all.Problems.Print(termsafe.Writer(e.stderr))
	switch {
	case all.Spec == "" && len(all.Files) > 0:
		fmt.Fprintf(e.stderr, "\nnot written without -o: %s\n", strings.Join(all.Files, ", "))
	case all.Spec != "":
		fmt.Fprintf(out, "\nwrote %s\n", strings.Join(append([]string{all.Spec}, all.Files...), ", "))
	}
	return nil
}
