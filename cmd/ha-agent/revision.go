package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/trial"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// revisionCommands are the commands of `ha-agent revision`.
func revisionCommands() []command {
	return []command{
		{"show", "", "print the current revision, its trial, and files that were edited since", cmdRevisionShow},
		{"settle", "committed|undone", "end a trial that waits for another node, as that node has ended it", cmdRevisionSettle},
		{"serve", "", "answer bake rollout over ssh: requests on standard input, answers on standard output", cmdRevisionServe},
		{"supervise", "", "apply the staged revision, and confirm or undo it; hapair-revision.service runs it", cmdRevisionSupervise},
		{"answer", "", "answer another node's question whether a revision was confirmed here; hapair-revision.socket runs it", cmdRevisionAnswer},
	}
}

func cmdRevision(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usage("revision: the command is missing")
	}
	if strings.TrimLeft(args[0], "-") == "h" || strings.TrimLeft(args[0], "-") == "help" {
		fmt.Fprint(e.stdout, "Usage: ha-agent revision COMMAND [FLAGS]\n\n")
		for _, c := range revisionCommands() {
			fmt.Fprintf(e.stdout, "  %-24s %s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
		}
		return nil
	}
	for _, c := range revisionCommands() {
		if c.name == args[0] {
			return c.run(ctx, e, args[1:])
		}
	}
	return usage("revision: unknown command %q", args[0])
}

// revisionServer returns the server of this node.
func revisionServer(e *env, name string, args []string, n int) (*trial.Server, []string, bool, error) {
	fs := e.flags("revision " + name)
	conf := fs.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`")
	asJSON := fs.Bool("json", false, "print the result as JSON")
	if err := e.parse(fs, args, n); err != nil {
		return nil, nil, false, err
	}
	c, err := config.Load(*conf)
	if err != nil {
		return nil, nil, false, err
	}
	return trial.NewServer(c), fs.Args(), *asJSON, nil
}

func cmdRevisionShow(ctx context.Context, e *env, args []string) error {
	s, _, asJSON, err := revisionServer(e, "show", args, 0)
	if err != nil {
		return err
	}
	show, err := s.Show(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(show)
	}
	fmt.Fprintln(e.stdout, show.Current)
	if show.Previous != nil {
		fmt.Fprintf(e.stdout, "before: %v\n", show.Previous.Ref)
	}
	for _, path := range show.Drift {
		fmt.Fprintf(e.stdout, "DRIFT: %s is not as it was rolled out\n", path)
	}
	if t := show.Trial; t != nil {
		fmt.Fprintf(e.stdout, "TRIAL: %v is %s since %s\n", t.Ref, t.Phase, at(t.Since))
		for _, why := range []string{t.Reason, t.Waits} {
			if why != "" {
				fmt.Fprintln(e.stdout, "  "+why)
			}
		}
	}
	return nil
}

func cmdRevisionSettle(ctx context.Context, e *env, args []string) error {
	s, rest, _, err := revisionServer(e, "settle", args, 1)
	if err != nil {
		return err
	}
	outcome := revision.Outcome(rest[0])
	if outcome != revision.WasCommitted && outcome != revision.WasUndone {
		return usage("revision settle: the argument must be committed or undone")
	}
	refused, err := s.Settle(ctx, outcome)
	if err != nil {
		return err
	}
	if refused != "" {
		return exitstatus.With(exitstatus.No, errors.New(refused))
	}
	return nil
}

func cmdRevisionServe(ctx context.Context, e *env, args []string) error {
	s, _, _, err := revisionServer(e, "serve", args, 0)
	if err != nil {
		return err
	}
	return s.Serve(ctx, e.stdin, e.stdout)
}

func cmdRevisionSupervise(ctx context.Context, e *env, args []string) error {
	if err := e.parse(e.flags("revision supervise"), args, 0); err != nil {
		return err
	}
	s, m := trial.Here()
	return (&trial.Supervisor{Store: s, Machine: m, Log: logger(e)}).Run(ctx)
}

// answerTime is the time limit for a question of another node.
const answerTime = 5 * time.Second

func cmdRevisionAnswer(ctx context.Context, e *env, args []string) error {
	if err := e.parse(e.flags("revision answer"), args, 0); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	s, _ := trial.Here()
	done := make(chan error, 1)
	go func(in io.Reader, out io.Writer) { done <- s.Answer(in, out) }(e.stdin, e.stdout)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("cannot answer a question: none came in time")
	}
}
