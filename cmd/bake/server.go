package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/cluster"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

func newServer(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Take a server out on all nodes, bring it back, or change its weight, over ssh",
		Long: `Take a server out on all nodes, bring it back, or change its weight, over ssh.

The nodes keep it: it holds across reloads, failovers, restarts and reboots, until 'bake server ready'. 'ha-agent status'
shows it. It does not change the spec.`,
		Example: "  bake server drain web/web1 lb.yaml",
		Args:    knownCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newServerAction(e, control.ServerDrain, "Send no new sessions to a server, except those that are sticky to it"))
	cmd.AddCommand(newServerAction(e, control.ServerDisable, "Send no requests and no checks to a server"))
	cmd.AddCommand(newServerAction(e, control.ServerWeight, "Set the weight of a server, 0 to 256"))
	cmd.AddCommand(newServerAction(e, control.ServerReady, "Use a server as the spec says"))
	return cmd
}

func newServerAction(e *env, action, short string) *cobra.Command {
	words := []string{"SERVICE/SERVER", "SPEC"}
	if action == control.ServerWeight {
		words = []string{"SERVICE/SERVER", "WEIGHT", "SPEC"}
	}
	var login *remote.Login
	cmd := &cobra.Command{
		Use:     action + " " + strings.Join(words, " "),
		Short:   short,
		Example: "  bake server " + action + " " + map[bool]string{true: "web/web1 10 lb.yaml", false: "web/web1 lb.yaml"}[action == control.ServerWeight],
		Args:    wantArgs(len(words), len(words), words...),
		RunE: func(cmd *cobra.Command, args []string) error {
			if action == control.ServerWeight {
				if n, err := strconv.Atoi(args[1]); err != nil || n < 0 || n > 256 {
					return exitstatus.With(exitstatus.Usage, fmt.Errorf("cannot set the weight %q: it must be 0 to 256", args[1]))
				}
			}
			s, err := e.load(args[len(args)-1])
			if err != nil {
				return err
			}
			if err := hasServer(s, args[0]); err != nil {
				return exitstatus.With(exitstatus.Usage, err)
			}
			return e.server(cmd.Context(), login, s, append([]string{"server", action}, args[:len(args)-1]...))
		},
	}
	login = loginFlags(cmd.Flags())
	return cmd
}

// hasServer returns an error if no service or backend of the spec has a server.
func hasServer(s *spec.Spec, name string) error {
	pool, server, found := strings.Cut(name, "/")
	if !found {
		return fmt.Errorf("cannot find the server %q: write SERVICE/SERVER, or BACKEND/SERVER", name)
	}
	var pools []string
	for p := range s.Pools() {
		pools = append(pools, p.Name)
		if p.Name != pool {
			continue
		}
		var servers []string
		for _, sv := range p.Servers {
			servers = append(servers, sv.Name)
		}
		if !slices.Contains(servers, server) {
			return fmt.Errorf("cannot find the server %q: %s has %s", name, pool, strings.Join(servers, ", "))
		}
		return nil
	}
	if len(pools) == 0 {
		return fmt.Errorf("cannot find the server %q: the spec has no servers", name)
	}
	return fmt.Errorf("cannot find the server %q: the spec has servers in %s", name, strings.Join(pools, ", "))
}

// serverReport is a node's answer to bake server.
type serverReport struct {
	Node string              `json:"node"`
	Done *control.ServerDone `json:"done,omitempty"`
	Err  string              `json:"error,omitempty"`
	Try  string              `json:"way_out,omitempty"`
}

func (e *env) server(ctx context.Context, login *remote.Login, s *spec.Spec, command []string) error {
	reports := make([]serverReport, len(s.Nodes))
	e.wait("set the server on all nodes", func(waitFor func(string)) {
		cluster.Each(s, waitFor, func(i int, h remote.Host) {
			r := serverReport{Node: h.Name}
			var done control.ServerDone
			if err := login.Run(ctx, h, nil, &done, append(command, "--json")...); err != nil {
				r.Err, r.Try = cluster.Reason(err)
			} else {
				r.Done = &done
			}
			reports[i] = r
		})
	})
	code, failed := exitstatus.OK, 0
	for _, r := range reports {
		switch {
		case r.Err != "":
			code = exitstatus.Failure
			failed++
		case r.Done.Refused != "":
			code = max(code, exitstatus.No)
			failed++
		}
	}
	if err := e.printServer(reports); err != nil {
		return err
	}
	switch {
	case code == exitstatus.OK:
		return nil
	case failed < len(reports):
		return exitstatus.With(code, errors.New("the nodes differ now: repeat the command when all of them answer, or take it back"))
	}
	return exitstatus.With(code, nil)
}

func (e *env) printServer(reports []serverReport) error {
	out := termsafe.Writer(e.stdout)
	if e.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(map[string]any{"nodes": reports}); err != nil {
			return cannot("print the result: %w", err)
		}
		return nil
	}
	for _, r := range reports {
		switch {
		case r.Err != "":
			fmt.Fprintf(out, "%s: %s\n", r.Node, notAnswered(r.Err, r.Try))
		case r.Done.Refused != "":
			fmt.Fprintf(out, "%s: NOT %s: %s\n", r.Node, r.Done.Server, termsafe.Line(r.Done.Refused))
		default:
			fmt.Fprintf(out, "%s: %s: %s\n", r.Node, r.Done.Server, r.Done.Set)
		}
	}
	return nil
}
