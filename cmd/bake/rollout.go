package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/rollout"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

// rolloutFlags are the flags of bake rollout and bake rollback.
type rolloutFlags struct {
	release, agent       string
	dryRun, yes, rebase  bool
	packages, allUpdates bool
	allowNoServers       bool
	healthy              time.Duration
	login                *remote.Login
}

func newRollout(e *env) *cobra.Command {
	var f rolloutFlags
	cmd := &cobra.Command{
		Use:   "rollout SPEC",
		Short: "Bring the running nodes to what the spec says over ssh: all of them, or none",
		Long: `Bring the running nodes to what the spec says over ssh: all of them, or none.

It shows what would change and asks. Then every node keeps the new revision and tests it with its own haproxy and keepalived;
nothing is applied yet. Then one node after the other applies it on trial, those without a virtual IP first, and proves that it
is healthy. If all are, the revision is confirmed on all. If one is not, all go back to what they ran before. The same happens
if bake or its connection ends: within two minutes, all nodes run the same revision again.

The revision is written beside the spec, as SPEC.revision. Keep it with the spec: a rollout from an older copy is refused.

It runs "sudo -n ha-agent …" at each node's address with the ssh program, your ssh configuration and your keys.`,
		Args: oneArg("SPEC"),
		Example: `  bake rollout cluster.yaml
  bake rollout cluster.yaml --yes --user admin`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.packages {
				return e.rolloutPackages(cmd.Context(), args[0], f)
			}
			if f.allUpdates {
				return exitstatus.With(exitstatus.Usage, errors.New("cannot use --all-updates without --packages"))
			}
			return e.rollout(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.release, "release", "", "use this release instead of the spec's: "+strings.Join(release.Names(), ", "))
	flags.StringVar(&f.agent, "agent", "", "the ha-agent to install (default: ha-agent in the directory of bake)")
	flags.BoolVar(&f.packages, "packages", false, "instead of the spec, roll out security updates of haproxy and keepalived, one node after the other")
	flags.BoolVar(&f.allUpdates, "all-updates", false, "with --packages: other updates too")
	flags.BoolVar(&f.rebase, "rebase", false, "roll out even if the nodes run a newer revision than SPEC.revision says")
	f.add(e, cmd)
	return cmd
}

func newRollback(e *env) *cobra.Command {
	var f rolloutFlags
	cmd := &cobra.Command{
		Use:   "rollback SPEC",
		Short: "Bring the running nodes back to the revision before the last one, as a rollout: all of them, or none",
		Long: `Bring the running nodes back to the revision before the last one, as a rollout: all of them, or none.

The nodes have kept it. Only their addresses are taken from the spec. It is a new revision with the old content, and is tested,
tried and confirmed like any other.`,
		Args:    oneArg("SPEC"),
		Example: "  bake rollback cluster.yaml",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.rollback(cmd.Context(), args[0], f) },
	}
	f.add(e, cmd)
	return cmd
}

func (f *rolloutFlags) add(_ *env, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would change, and change nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.BoolVar(&f.allowNoServers, "allow-no-servers", false, "keep the change even if a backend that had a server up has none afterwards")
	flags.DurationVar(&f.healthy, "healthy", time.Minute, "time limit for a node to become healthy on the new revision")
	f.login = loginFlags(flags)
}

func (e *env) rollout(ctx context.Context, path string, f rolloutFlags) error {
	s, r, err := e.loadFor(ctx, path, f.release)
	if err != nil {
		return err
	}
	agent, err := findAgent(f.agent)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(agent)
	if err != nil {
		return cannot("read %s: %v", agent, err)
	}
	program := rollout.NewProgram(data)
	ro := e.newRollout(s, f, program)
	defer closeAll(ro)
	for i, n := range ro.Nodes {
		whole, err := recipe.Whole(s, &s.Nodes[i], r)
		if err != nil {
			return e.renderError(err)
		}
		if n.Content, err = rollout.Content(whole, program.Digest); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
	}
	seen, err := e.look(ctx, ro)
	if err != nil {
		return err
	}
	base, err := readBase(path)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	if err := base.check(rollout.Current(seen), s.Cluster, f.rebase); err != nil {
		return exitstatus.With(exitstatus.No, err)
	}
	if err := ro.Compare(ctx, seen, !f.dryRun); err != nil {
		return answerError(err)
	}
	return e.carryOut(ctx, path, ro, seen, f)
}

func (e *env) rollback(ctx context.Context, path string, f rolloutFlags) error {
	s, err := e.load(path)
	if err != nil {
		return err
	}
	ro := e.newRollout(s, f, rollout.Program{})
	defer closeAll(ro)
	seen, err := e.look(ctx, ro)
	if err != nil {
		return err
	}
	for i, n := range ro.Nodes {
		previous := seen[i].Show.Previous
		if previous == nil || previous.Ref != seen[0].Show.Previous.Ref || seen[i].Show.Current != seen[0].Show.Current {
			return exitstatus.With(exitstatus.No, fmt.Errorf("cannot roll back: %s has no revision to go back to that all nodes have", n.Name))
		}
		n.Reuse = previous.Content
	}
	return e.carryOut(ctx, path, ro, seen, f)
}

// newRollout returns a rollout to the nodes of a spec.
func (e *env) newRollout(s *spec.Spec, f rolloutFlags, p rollout.Program) *rollout.Rollout {
	ro := &rollout.Rollout{Cluster: s.Cluster, Members: rollout.Members(s), By: whoami(), Healthy: f.healthy, AllowNoServers: f.allowNoServers, Now: time.Now, Report: e.printEvent}
	for i := range s.Nodes {
		ro.Nodes = append(ro.Nodes, &rollout.Node{Name: s.Nodes[i].Name, Conn: rollout.SSH(f.login, remote.HostOf(&s.Nodes[i]), p)})
	}
	return ro
}

func closeAll(ro *rollout.Rollout) {
	for _, n := range ro.Nodes {
		n.Conn.Close()
	}
}

// whoami is who rolls out, for the people who meet the rollout on a node.
func whoami() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// look asks what the nodes run.
func (e *env) look(ctx context.Context, ro *rollout.Rollout) (seen []rollout.Seen, err error) {
	e.wait("query the nodes over ssh", func(func(string)) { seen, err = ro.Look(ctx) })
	return seen, answerError(err)
}

// answerError adds the advice of a node that gave no answer.
func answerError(err error) error {
	var silent *remote.Error
	var busy *rollout.Busy
	switch {
	case err == nil:
		return nil
	case errors.As(err, &busy):
		return exitstatus.With(exitstatus.No, err)
	case errors.As(err, &silent) && silent.Try != "":
		return exitstatus.With(exitstatus.Failure, fmt.Errorf("%w; %s", err, silent.Try))
	}
	return exitstatus.With(exitstatus.Failure, err)
}

// carryOut shows the plan, asks, and rolls out.
func (e *env) carryOut(ctx context.Context, path string, ro *rollout.Rollout, seen []rollout.Seen, f rolloutFlags) error {
	nothing := ro.Nothing(seen)
	if err := e.printPlan(seen, nothing, f); err != nil {
		return err
	}
	if nothing {
		return writeBase(path, ro.Cluster, seen[0].Show.Current)
	}
	if f.dryRun {
		return nil
	}
	if !f.yes {
		yes, err := e.ask(fmt.Sprintf("Roll this out to %s? [y/N] ", nodeNames(ro)))
		if err != nil || !yes {
			return err
		}
	}
	result := ro.Run(ctx, seen)
	if result.Done {
		if err := writeBase(path, ro.Cluster, result.Revision); err != nil {
			e.printEvent(rollout.Event{Text: err.Error()})
		}
	}
	return e.printResult(result)
}

func nodeNames(ro *rollout.Rollout) string {
	var all []string
	for _, n := range ro.Nodes {
		all = append(all, n.Name)
	}
	return strings.Join(all, ", ")
}

// ask asks a question that only a person can answer.
func (e *env) ask(question string) (yes bool, err error) {
	if in, ok := e.stdin.(*os.File); ok && !term.IsTerminal(int(in.Fd())) {
		return false, exitstatus.With(exitstatus.Usage, errors.New("cannot ask whether to go on: standard input is not a terminal; use --yes"))
	}
	fmt.Fprint(e.stderr, question)
	line, err := bufio.NewReader(e.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, cannot("read the answer: %v", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	fmt.Fprintln(e.stderr, "bake: nothing was changed")
	return false, exitstatus.With(exitstatus.No, nil)
}

// printEvent prints a line of progress.
func (e *env) printEvent(ev rollout.Event) {
	if e.json {
		_ = json.NewEncoder(termsafe.Writer(e.stdout)).Encode(ev)
		return
	}
	if ev.Node == "" {
		fmt.Fprintln(e.stderr, termsafe.Line(ev.Text))
		return
	}
	fmt.Fprintf(e.stderr, "%s: %s\n", ev.Node, termsafe.Line(ev.Text))
}

// plan is what a rollout would do, as --json prints it.
type plan struct {
	Plan    []rollout.Seen `json:"plan"`
	Nothing bool           `json:"nothing"` // there is nothing to do
}

func (e *env) printPlan(seen []rollout.Seen, nothing bool, f rolloutFlags) error {
	if e.json {
		return json.NewEncoder(termsafe.Writer(e.stdout)).Encode(plan{seen, nothing})
	}
	w := termsafe.Writer(e.stdout)
	for _, s := range seen {
		fmt.Fprintf(w, "%s runs %v%s\n", s.Node, s.Show.Current, holding(s.Show.Holds))
		for _, p := range s.Show.Problems {
			fmt.Fprintf(w, "  PROBLEM  %s\n", termsafe.Line(p))
		}
		for _, p := range s.Show.Drift {
			fmt.Fprintf(w, "  DRIFT    %s was edited since; the rollout overwrites it\n", termsafe.Line(p))
		}
		c := s.Compare
		if c == nil {
			fmt.Fprintf(w, "  back to %v\n", s.Show.Previous.Ref)
			continue
		}
		for _, list := range []struct {
			word  string
			paths []string
		}{{"new", c.New}, {"changed", c.Changed}, {"removed", c.Removed}, {"install", c.Packages}, {"unit", c.Units}, {"effect", c.Effects}} {
			for _, p := range list.paths {
				fmt.Fprintf(w, "  %-8s %s\n", list.word, termsafe.Line(p))
			}
		}
		if c.FirstBoot {
			fmt.Fprintln(w, "  NOT      host name, logins or network have changed, which a rollout leaves alone: only a first boot sets them")
		}
	}
	if nothing {
		fmt.Fprintln(w, "nothing to do: all nodes run this already")
	}
	return nil
}

func holding(vips []string) string {
	if len(vips) == 0 {
		return ""
	}
	return " and holds " + strings.Join(vips, ", ")
}

// printResult prints how a rollout ended, and returns its exit status.
func (e *env) printResult(r rollout.Result) error {
	if e.json {
		if err := json.NewEncoder(termsafe.Writer(e.stdout)).Encode(r); err != nil {
			return cannot("print the result: %v", err)
		}
	}
	switch {
	case r.Done:
		if !e.json {
			fmt.Fprintf(e.stdout, "all nodes run %v, after %.1f s\n", r.Revision, r.Took)
		}
		return nil
	case r.Unknown:
		return exitstatus.With(exitstatus.Failure, fmt.Errorf("cannot tell what all nodes run: %s; `bake verify` shows it once the nodes can be reached", r.Reason))
	}
	return exitstatus.With(exitstatus.No, fmt.Errorf("nothing was rolled out: %s", r.Reason))
}
