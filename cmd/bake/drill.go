package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/adopt"
	"github.com/hapair/hapair/internal/drill"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

// drillFlags are the flags of bake drill.
type drillFlags struct {
	faults                               []string
	repeat                               int
	maxGap                               time.Duration
	report, jsonReport                   string
	release, image, agent, mirror, cache string
	keep                                 bool
	against                              string
}

func newDrill(e *env) *cobra.Command {
	var f drillFlags
	cmd := &cobra.Command{
		Use:   "drill SPEC",
		Short: "Boot the cluster on this machine, cause faults, and report how they affect clients",
		Long: `Boot the cluster on this machine, cause faults, and report how they affect clients.

The nodes are containers that run their own systemd. They boot from a golden image, which is baked for the drill, and have
the same keepalived, haproxy, ha-agent and files as real nodes of the spec. For each VIP, a client sends a request every
5 ms, each over a new connection. Each fault strikes the node that holds a VIP. When all VIPs are served again, the drill
repairs the node, and waits until the cluster is healthy again. The drill needs root. It does not change this machine, and
removes everything when it ends.

It exits with 1 if a VIP was not served again after a fault; if a VIP had two holders for longer than one advertisement
interval although the nodes saw each other; if a client got no answer for longer than --max-gap; if an agent, haproxy or
keepalived did not work correctly; if a node reacted by its track_script and not by its track file, which is faster; or if
no client could send requests to a VIP. An interrupt ends the drill; the report then has the faults up to that point.

'bake drill shell NODE' opens a shell on a node of the running drill.`,
		Args: oneArg("SPEC"),
		Example: `  sudo bake drill cluster.yaml --report drill.html
  sudo bake drill cluster.yaml --fault haproxy-kill,node-crash --repeat 3 --max-gap 2s`,
		RunE: func(cmd *cobra.Command, args []string) error { return e.drill(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.faults, "fault", nil, "`NAMES` of the faults to cause (default: all): "+strings.Join(drill.FaultNames(), ", "))
	flags.IntVar(&f.repeat, "repeat", 1, "how often each fault strikes each holder")
	flags.DurationVar(&f.maxGap, "max-gap", 0, "the longest time for which a client may get no answer (default: no limit)")
	flags.StringVar(&f.report, "report", "", "write the report as an HTML page to `FILE`; - is stdout")
	flags.StringVar(&f.jsonReport, "json-report", "", "write the report as JSON to `FILE`; - is stdout")
	flags.StringVar(&f.release, "release", "", "use this release instead of the spec's: "+strings.Join(release.Names(), ", "))
	flags.StringVar(&f.image, "image", "", "a golden image of the spec to use, instead of baking one for the drill")
	flags.StringVar(&f.agent, "agent", "", "the ha-agent to install (default: ha-agent in the directory of bake)")
	flags.StringVar(&f.mirror, "mirror", "", "the package archive to bootstrap from, instead of the release's own")
	flags.StringVar(&f.cache, "cache", "", "the cache directory for base images and packages (default: hapair in the user's cache directory)")
	flags.StringVar(&f.against, "against", "", "then drill the pair whose files are in `DIR` in the same way, and compare: a folder for each node with its haproxy.cfg and keepalived.conf")
	flags.BoolVar(&f.keep, "keep", false, "keep the cluster running after the last fault, until an interrupt")
	cmd.AddCommand(newDrillShell(e))
	return cmd
}

func newDrillShell(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shell NODE [COMMAND...]",
		Short: "Open a shell on a node of the running drill, or run a command there",
		Args:  wantArgs(1, -1, "NODE"),
		Example: `  sudo bake drill shell lb1
  sudo bake drill shell lb1 ha-agent status`,
		RunE: func(cmd *cobra.Command, args []string) error {
			command := args[1:]
			if len(command) > 0 && command[0] == "--" {
				command = command[1:]
			}
			return e.drillShell(cmd.Context(), args[0], command)
		},
	}
	// All arguments after NODE, including flags, belong to the command.
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// drillShell runs a command on a node. Its exit status is that of the command.
func (e *env) drillShell(ctx context.Context, node string, command []string) error {
	argv, err := drill.Enter(ctx, node)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	if len(command) == 0 {
		command = []string{"bash", "--login"}
	}
	argv = append(argv, command...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, e.stdout, e.stderr
	// An interrupt from the terminal must reach the command on the node, and must not end this process.
	cmd.Cancel = func() error { return nil }
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=" + os.Getenv("TERM")}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitstatus.With(max(exit.ExitCode(), 1), nil)
	}
	if err != nil {
		return cannot("enter %s: %w", node, err)
	}
	return nil
}

func (e *env) drill(ctx context.Context, path string, f drillFlags) error {
	if err := errors.Join(drill.CheckFaults(f.faults), f.check()); err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	old, err := oldPair(f.against)
	if err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	s, r, err := e.loadFor(ctx, path, f.release)
	if err != nil {
		return err
	}
	if err := lab.Missing(); err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	dir, remove, err := drillDir()
	if err != nil {
		return cannot("make a directory for the drill: %w", err)
	}
	defer remove()
	if old != nil {
		if old.byNode, err = old.of(s); err != nil {
			return exitstatus.With(exitstatus.Usage, err)
		}
	}
	d := &drilling{env: e, flags: f, old: old, spec: s, release: r, path: path, dir: dir, screen: newScreen(e.stderr)}
	defer d.screen.end()
	err = d.run(ctx)
	if ctx.Err() != nil && !d.finished {
		return exitstatus.With(exitstatus.Failure, errors.New("interrupted; everything was removed"))
	}
	return err
}

func (f *drillFlags) check() error {
	if f.repeat < 1 {
		return fmt.Errorf("cannot use --repeat %d: must be at least 1", f.repeat)
	}
	if f.against != "" && f.keep {
		return errors.New("cannot use --keep with --against: two clusters run, one after the other")
	}
	if f.maxGap < 0 {
		return fmt.Errorf("cannot use --max-gap %v: must not be negative", f.maxGap)
	}
	if f.report == stdio && f.jsonReport == stdio {
		return errors.New("cannot write both reports to stdout: give one of them a file")
	}
	return nil
}

// drilling is a running drill.
type drilling struct {
	*env
	old       *old // nil: there is no pair to compare with
	flags     drillFlags
	spec      *spec.Spec
	release   release.Release
	path, dir string
	screen    *screen
	finished  bool // whether the report was written
}

func (d *drilling) run(ctx context.Context) error {
	notes := drill.Prepare(d.spec)
	seeds, err := d.seeds()
	if err != nil {
		return err
	}
	o := drill.Options{Spec: d.spec, Release: d.release.Name, Seeds: seeds, Image: d.flags.image, Tell: d.screen.line}
	if d.screen.live() {
		o.Live = d.screen.show
	}
	if o.Image == "" {
		o.Image, o.Discard = filepath.Join(d.dir, "golden.raw"), d.old == nil
		if err := d.bake(ctx, o.Image); err != nil {
			return err
		}
	}
	for _, note := range notes {
		d.screen.line("note: " + note)
	}
	c, err := drill.Boot(ctx, o)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	faults := drill.Faults{Names: d.flags.faults, Repeat: d.flags.repeat, MaxGap: d.flags.maxGap}
	report, err := c.Run(ctx, faults)
	if d.old != nil && ctx.Err() == nil {
		if closed := c.Close(); closed != nil {
			return exitstatus.With(exitstatus.Failure, closed)
		}
		return d.compare(ctx, o, faults, report, err)
	}
	err = d.finish(ctx, report, err)
	if d.flags.keep && ctx.Err() == nil {
		fmt.Fprintln(d.stderr, "the cluster stays up until an interrupt; 'bake drill shell NODE' opens a shell on a node")
		<-ctx.Done()
	}
	if closed := c.Close(); err == nil && closed != nil {
		return exitstatus.With(exitstatus.Failure, closed)
	}
	return err
}

// bake bakes the golden image of the spec.
func (d *drilling) bake(ctx context.Context, output string) error {
	s := *d.spec
	if d.old != nil {
		s.Image.Packages = append(slices.Clone(s.Image.Packages), adopt.Packages(d.old.nodes)...)
	}
	want, err := recipe.Image(&s, d.release)
	if err != nil {
		return exitstatus.With(exitstatus.No, err)
	}
	agent, err := agentSource(d.flags.agent)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	cache, err := cacheDir(d.flags.cache)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	begun := time.Now()
	report := func(p install.Progress) {
		if !p.Done {
			d.screen.doing(strings.TrimSuffix("baking: "+p.Step+": "+p.Line, ": "))
		}
	}
	_, err = image.Bake(ctx, image.Options{Release: d.release, Base: image.Bootstrap, Mirror: d.flags.mirror, Output: output,
		Format: image.Raw, CacheDir: cache, Env: proxyEnv(os.Environ()), Report: report},
		func(ctx context.Context, m *image.Machine) error {
			return install.Do(ctx, m, install.Image(want, agent), report)
		})
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	d.screen.line(fmt.Sprintf("golden image of %s baked in %.0f s", d.release.Title, time.Since(begun).Seconds()))
	return nil
}

// seeds writes the seed of each node, and returns the seeds' directories by node.
func (d *drilling) seeds() (map[string]string, error) {
	cloud, err := cloudinit.GetCloud(cloudinit.NoCloud)
	if err != nil {
		return nil, exitstatus.With(exitstatus.Failure, err)
	}
	made, err := cloudinit.Nodes(d.spec, d.release, cloudinit.Options{Image: cloudinit.Golden, Cloud: cloud})
	if err != nil {
		return nil, d.cloudInitError(err)
	}
	out := map[string]string{}
	for _, s := range made {
		dir := filepath.Join(d.dir, "seeds", s.Node)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, cannot("write the seed of %s: %w", s.Node, err)
		}
		for _, f := range s.Seed.Files() {
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Content, 0o600); err != nil {
				return nil, cannot("write the seed of %s: %w", s.Node, err)
			}
		}
		out[s.Node] = dir
	}
	return out, nil
}

// finish prints and writes the report. After an interrupt, the report has the faults up to that point. An error of the run
// means that the cluster has a problem: exit status 1.
func (d *drilling) finish(ctx context.Context, r *drill.Report, runErr error) error {
	d.screen.end()
	if len(r.Faults) == 0 && ctx.Err() != nil {
		return runErr // there is nothing to report
	}
	if err := d.write(r); err != nil {
		return err
	}
	d.finished = true
	switch interrupted := ctx.Err() != nil; {
	case r.Good:
		return nil
	case interrupted && r.Verdict() == drill.NotFinished:
		return exitstatus.With(exitstatus.Failure, errors.New("interrupted; the report has the faults up to then; everything else was removed"))
	case interrupted:
		return exitstatus.With(exitstatus.No, errors.New("interrupted; the report has the faults up to then, and they have problems; everything else was removed"))
	case runErr != nil:
		return exitstatus.With(exitstatus.No, runErr)
	}
	return exitstatus.With(exitstatus.No, fmt.Errorf("the drill's verdict is %q: the report names the causes", r.Verdict()))
}

func (d *drilling) write(r *drill.Report) error {
	if d.flags.report != "" {
		if err := d.writeReport(d.flags.report, r.HTML); err != nil {
			return err
		}
	}
	if d.flags.jsonReport != "" {
		if err := d.writeReport(d.flags.jsonReport, r.JSON); err != nil {
			return err
		}
	}
	switch {
	case d.flags.report == stdio || d.flags.jsonReport == stdio:
		return nil
	case d.json:
		return json.NewEncoder(termsafe.Writer(d.stdout)).Encode(r)
	}
	return r.Print(termsafe.Writer(d.stdout))
}

// writeReport writes a report to a file, or to stdout, which then has nothing else.
func (d *drilling) writeReport(path string, write func(io.Writer) error) error {
	var err error
	if path == stdio {
		err = write(d.stdout)
	} else {
		var f *os.File
		if f, err = os.Create(path); err == nil {
			err = errors.Join(write(f), f.Close())
		}
	}
	if err != nil {
		return cannot("write the report: %w", err)
	}
	return nil
}
