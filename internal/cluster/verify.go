// Package cluster asks the running nodes of a spec over ssh, all at once, and compares their answers.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/verify"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/spec"
)

// NodeReport is a node's answer. If the node could not be queried, Err is the reason, and Try is what the user can try.
type NodeReport struct {
	Node  string         `json:"node"`
	Steps verify.Results `json:"steps,omitempty"`
	VIPs  []control.VIP  `json:"vips,omitempty"`
	// Revision is what the last rollout brought; nil: none has reached the node.
	Revision *control.Revision `json:"revision,omitempty"`
	Err      string            `json:"error,omitempty"`
	Try      string            `json:"way_out,omitempty"`
}

// Report has the answers of all nodes.
type Report struct {
	Nodes   []NodeReport   `json:"nodes"`
	Cluster verify.Results `json:"cluster"` // checks that need the answers of all nodes: each VIP has one holder
}

// Verify runs all steps of ha-agent verify on all nodes. It calls waitFor with the nodes that have not answered yet, never
// concurrently.
func Verify(ctx context.Context, l *remote.Login, s *spec.Spec, waitFor func(string)) Report {
	report := Report{Nodes: make([]NodeReport, len(s.Nodes))}
	Each(s, waitFor, func(i int, h remote.Host) { report.Nodes[i] = verifyNode(ctx, l, h) })
	for _, vip := range s.VIPs {
		report.Cluster = append(report.Cluster, oneHolder(vip.Name, report.Nodes))
	}
	if slices.ContainsFunc(report.Nodes, func(n NodeReport) bool { return n.Revision != nil }) {
		report.Cluster = append(report.Cluster, oneRevision(report.Nodes))
	}
	return report
}

// Each calls f for every node of a spec, concurrently, with the node's index. It calls waitFor with the nodes for which f has
// not returned yet, never concurrently.
func Each(s *spec.Spec, waitFor func(string), f func(i int, h remote.Host)) {
	waiting := map[string]bool{}
	for i := range s.Nodes {
		waiting[s.Nodes[i].Name] = true
	}
	var mu sync.Mutex
	var group errgroup.Group
	for i := range s.Nodes {
		group.Go(func() error {
			f(i, remote.HostOf(&s.Nodes[i]))
			mu.Lock()
			defer mu.Unlock()
			waiting[s.Nodes[i].Name] = false
			waitFor(waitingFor(waiting))
			return nil
		})
	}
	_ = group.Wait()
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

func verifyNode(ctx context.Context, l *remote.Login, h remote.Host) NodeReport {
	r := NodeReport{Node: h.Name}
	var status control.Status
	err := l.Run(ctx, h, nil, &r.Steps, "verify", "--json")
	if err == nil {
		err = l.Run(ctx, h, nil, &status, "status", "--json")
	}
	if err != nil {
		r = NodeReport{Node: h.Name}
		r.Err, r.Try = Reason(err)
		return r
	}
	r.VIPs, r.Revision = status.VIPs, status.Revision
	return r
}

// Reason splits an error of a node into the reason and what the user can try, which may be empty.
func Reason(err error) (why, try string) {
	var e *remote.Error
	if errors.As(err, &e) {
		return e.Why, e.Try
	}
	return err.Error(), ""
}

// Status returns the exit status for a report: exitstatus.No if a check failed, exitstatus.Failure if a node could not be
// queried.
func (r *Report) Status() int {
	code := exitstatus.OK
	if !r.Cluster.OK() {
		code = exitstatus.No
	}
	for _, n := range r.Nodes {
		switch {
		case n.Err != "":
			return exitstatus.Failure
		case !n.Steps.OK():
			code = exitstatus.No
		}
	}
	return code
}

// oneHolder checks that exactly one node holds a VIP.
func oneHolder(vip string, nodes []NodeReport) verify.Result {
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

// oneRevision checks that all nodes run the same revision, unchanged and confirmed.
func oneRevision(nodes []NodeReport) verify.Result {
	r := verify.Result{What: "all nodes run the same revision, as it was rolled out"}
	var runs, wrong []string
	refs := map[revision.Ref]bool{}
	for _, n := range nodes {
		if n.Err != "" {
			wrong = append(wrong, n.Node+" cannot be queried")
			continue
		}
		v := n.Revision
		if v == nil {
			v = &control.Revision{}
		}
		refs[v.Ref] = true
		runs = append(runs, fmt.Sprintf("%s runs %v", n.Node, v.Ref))
		if v.Trial != nil {
			is := fmt.Sprintf("on %s, %v is %s", n.Node, v.Trial.Ref, v.Trial.Phase)
			if v.Trial.Waits != "" {
				is += ": " + v.Trial.Waits
			}
			wrong = append(wrong, is)
		}
		for _, path := range v.Drift {
			wrong = append(wrong, fmt.Sprintf("%s was edited on %s", path, n.Node))
		}
	}
	if len(refs) > 1 {
		wrong = append(runs, wrong...)
	}
	if len(wrong) > 0 {
		r.Why, r.WayOut = strings.Join(wrong, "; "), "`bake rollout SPEC` brings all nodes to what the spec says"
		return r
	}
	for ref := range refs {
		r.OK, r.Detail = true, ref.String()
	}
	return r
}
