package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/verify"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

// verifier queries the nodes of a spec over ssh.
type verifier struct {
	sshConfig string
	user      string
	timeout   time.Duration
}

// nodeReport is a node's answer. If the node could not be queried, Err is the reason, and Try is what the user can try.
type nodeReport struct {
	Node  string         `json:"node"`
	Steps verify.Results `json:"steps,omitempty"`
	VIPs  []control.VIP  `json:"vips,omitempty"`
	Err   string         `json:"error,omitempty"`
	Try   string         `json:"way_out,omitempty"`
}

// clusterReport has the answers of all nodes.
type clusterReport struct {
	Nodes   []nodeReport   `json:"nodes"`
	Cluster verify.Results `json:"cluster"` // checks that need the answers of all nodes: each VIP has one holder
}

func newVerify(e *env) *cobra.Command {
	v := &verifier{}
	cmd := &cobra.Command{
		Use:   "verify SPEC",
		Short: "Check the running nodes over ssh: each step of the setup, and that each VIP has exactly one holder",
		Long: `Check the running nodes over ssh: each step of the setup on each node, and that each VIP has exactly one holder.

It runs "sudo -n ha-agent …" at each node's address with the ssh program, your ssh configuration and your keys.`,
		Args: oneArg("SPEC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := e.load(args[0])
			if err != nil {
				return err
			}
			var r clusterReport
			e.wait("query the nodes over ssh", func(waitFor func(string)) { r = v.ask(cmd.Context(), s, waitFor) })
			return e.report(r)
		},
	}
	cmd.Flags().StringVar(&v.user, "user", "", "log in as `USER` (default: ssh's own)")
	cmd.Flags().StringVar(&v.sshConfig, "ssh-config", "", "`FILE` that ssh reads instead of its default configuration")
	cmd.Flags().DurationVar(&v.timeout, "timeout", time.Minute, "time limit for each node")
	return cmd
}

// ask queries all nodes concurrently. It calls waitFor each time that a node has answered, never concurrently.
func (v *verifier) ask(ctx context.Context, s *spec.Spec, waitFor func(string)) clusterReport {
	report := clusterReport{Nodes: make([]nodeReport, len(s.Nodes))}
	waiting := map[string]bool{}
	for i := range s.Nodes {
		waiting[s.Nodes[i].Name] = true
	}
	var mu sync.Mutex
	var group errgroup.Group
	for i := range s.Nodes {
		group.Go(func() error {
			report.Nodes[i] = v.node(ctx, &s.Nodes[i])
			mu.Lock()
			defer mu.Unlock()
			waiting[s.Nodes[i].Name] = false
			waitFor(waitingFor(waiting))
			return nil
		})
	}
	_ = group.Wait()
	for _, vip := range s.VIPs {
		report.Cluster = append(report.Cluster, oneHolder(vip.Name, report.Nodes))
	}
	return report
}

// waitingFor returns a text with the names of the nodes that have not answered.
func waitingFor(waiting map[string]bool) string {
	var names []string
	for name, yes := range waiting {
		if yes {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return "waiting for " + strings.Join(names, ", ")
}

func (v *verifier) node(ctx context.Context, n *spec.Node) nodeReport {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	r := nodeReport{Node: n.Name}
	var status control.Status
	err := v.run(ctx, n, &r.Steps, "verify", "--json")
	if err == nil {
		err = v.run(ctx, n, &status, "status", "--json")
	}
	var u *unanswered
	if errors.As(err, &u) {
		return nodeReport{Node: n.Name, Err: u.why, Try: u.try}
	}
	if err != nil {
		return nodeReport{Node: n.Name, Err: err.Error()}
	}
	r.VIPs = status.VIPs
	return r
}

// oneHolder checks that exactly one node holds a VIP.
func oneHolder(vip string, nodes []nodeReport) verify.Result {
	var holders, silent []string
	for _, n := range nodes {
		if n.Err != "" {
			silent = append(silent, n.Node)
		}
		if slices.ContainsFunc(n.VIPs, func(v control.VIP) bool { return v.Name == vip && v.Held }) {
			holders = append(holders, n.Node)
		}
	}
	r := verify.Result{What: "VIP " + vip + " is on exactly one node"}
	switch {
	case len(holders) > 1:
		r.Why = "held by " + strings.Join(holders, " and ")
		r.WayOut = "check that VRRP packets (IP protocol 112) pass from each node to the others"
	case len(silent) > 0:
		r.Why = strings.Join(silent, " and ") + " cannot be queried"
	case len(holders) == 0:
		r.Why = "no node holds it"
		r.WayOut = "run journalctl -u keepalived on the nodes"
	default:
		r.OK, r.Detail = true, holders[0]
	}
	return r
}

// report prints the answers. It returns an error if a check failed or a node could not be queried.
func (e *env) report(r clusterReport) error {
	if e.json {
		enc := json.NewEncoder(termsafe.Writer(e.stdout))
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return cannot("print the report: %v", err)
		}
	} else {
		r.print(termsafe.Writer(e.stdout))
	}
	code := exitstatus.OK
	if !r.Cluster.OK() {
		code = exitstatus.No
	}
	for _, n := range r.Nodes {
		if !n.Steps.OK() {
			code = exitstatus.No
		}
	}
	for _, n := range r.Nodes {
		if n.Err != "" {
			code = exitstatus.Failure
		}
	}
	if code != exitstatus.OK {
		return exitstatus.With(code, nil)
	}
	return nil
}

func (r clusterReport) print(w io.Writer) {
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "%s\n", n.Node)
		if n.Err != "" {
			fmt.Fprintf(w, "NOT %s", termsafe.Line(n.Err))
			if n.Try != "" {
				fmt.Fprintf(w, " — %s", termsafe.Line(n.Try))
			}
			fmt.Fprintln(w)
		}
		n.Steps.Print(w)
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "cluster")
	r.Cluster.Print(w)
}
