package rollout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/revision"
)

// Result is how a rollout ended.
type Result struct {
	Revision revision.Ref `json:"revision"`
	// Done reports whether all nodes run the revision.
	Done bool `json:"done"`
	// Unknown reports whether it is not known what all nodes run: a node could not be reached in the end.
	Unknown bool      `json:"unknown,omitempty"`
	Reason  string    `json:"reason,omitempty"` // why it was not done
	Nodes   []Outcome `json:"nodes"`
	Took    float64   `json:"took_s"`
}

// Outcome is how it ended on a node.
type Outcome struct {
	Node   string         `json:"node"`
	Phase  revision.Phase `json:"phase,omitempty"` // empty: it was never staged
	Reason string         `json:"reason,omitempty"`
	Took   float64        `json:"took_s,omitempty"` // seconds from the beginning of the trial to its proof
}

// Intervals and limits.
const (
	defaultLease   = 30 * time.Second
	defaultHealthy = time.Minute
	pollEvery      = 200 * time.Millisecond
	tryTime        = 20 * time.Minute // packages may have to be installed
	undoTime       = 3 * time.Minute
	commitTime     = 2 * time.Minute
	silentTime     = 30 * time.Second // of a node that cannot be reached in the end
)

// run is one rollout that is under way.
type run struct {
	*Rollout
	id     string
	result Result
	began  time.Time
}

// Run stages a revision on all nodes, applies it on trial to one after the other, and confirms it on all. If a node refuses,
// or does not become healthy, or ctx ends, the nodes before it go back. Once the first confirmation is on its way, there is no
// way back any more, and Run waits until all nodes have come to the same end.
func (r *Rollout) Run(ctx context.Context, seen []Seen) Result {
	token := make([]byte, 32)
	rand.Read(token) // it never fails: crypto/rand
	h := r.header(seen, token)
	u := &run{Rollout: r, id: h.Ref().ID, began: r.Now()}
	u.result.Revision = h.Ref()
	for _, n := range r.Nodes {
		u.result.Nodes = append(u.result.Nodes, Outcome{Node: n.Name})
	}
	if u.Lease <= 0 {
		u.Lease = defaultLease
	}
	if u.Healthy <= 0 {
		u.Healthy = defaultHealthy
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	err := u.stage(ctx, h, func(n *Node) { wg.Go(func() { u.keep(renewing, n) }) })
	if err == nil {
		err = u.tryAll(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		u.result.Reason = reasonOf(ctx, err)
		stop()
		wg.Wait()
		u.undo(context.WithoutCancel(ctx))
	} else {
		u.commit(context.WithoutCancel(ctx))
		stop()
		wg.Wait()
	}
	u.result.Took = r.Now().Sub(u.began).Seconds()
	return u.result
}

func reasonOf(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "it was interrupted"
	}
	return err.Error()
}

func (u *run) seconds() int { return int(u.Lease.Seconds()) }

// stage keeps and tests the revision on all nodes, one after the other in the order of their names: of two rollouts that
// begin at once, one gets all nodes.
func (u *run) stage(ctx context.Context, h revision.Header, staged func(*Node)) error {
	order := slices.Clone(u.Nodes)
	slices.SortFunc(order, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range order {
		req := revision.Request{Op: revision.OpStage, Header: &h, Node: n.Name, Reuse: n.Reuse, Seconds: u.seconds()}
		if n.Reuse == "" {
			req.Content = &n.Content
		}
		if n.Reuse == "" {
			if _, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpAgent}); err != nil {
				return err
			}
		}
		resp, err := n.Conn.Ask(ctx, req)
		switch {
		case err != nil:
			u.outcome(n).Phase = revision.Staged // it may be
			return err
		case resp.Refused != "":
			u.outcome(n).Reason = resp.Refused
			u.tell(n.Name, "refused: %s", resp.Refused)
			return fmt.Errorf("%s refused it: %s", n.Name, resp.Refused)
		}
		u.outcome(n).Phase = revision.Staged
		staged(n)
		u.tell(n.Name, "staged and tested; nothing is applied yet")
	}
	return nil
}

func (u *run) outcome(n *Node) *Outcome {
	return &u.result.Nodes[slices.Index(u.Nodes, n)]
}

// keep renews a node's lease. It is the node that judges whether it was renewed in time.
func (u *run) keep(ctx context.Context, n *Node) {
	tick := time.NewTicker(max(u.Lease/6, 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			limit, cancel := context.WithTimeout(ctx, u.Lease)
			_, _ = n.Conn.Ask(limit, revision.Request{Op: revision.OpRenew, ID: u.id, Seconds: u.seconds()})
			cancel()
		}
	}
}

// tryAll applies the revision to one node after the other: first to those that hold no VIP.
func (u *run) tryAll(ctx context.Context) error {
	left := slices.Clone(u.Nodes)
	for len(left) > 0 {
		n, err := u.next(ctx, left)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(o *Node) bool { return o == n })
		if err := u.try(ctx, n, len(left) == 0); err != nil {
			return err
		}
	}
	if err := u.each(func(_ int, n *Node) error { return u.reunite(ctx, n) }); err != nil {
		return err
	}
	// All must be on trial at the same time.
	return u.each(func(_ int, n *Node) error {
		t, err := u.renew(ctx, n)
		if err == nil && (t.Phase != revision.OnTrial || !t.Open) {
			err = fmt.Errorf("%s is not on trial any more: it is %s: %s", n.Name, t.Phase, t.Reason)
		}
		return err
	})
}

// next returns the node that is the next one.
func (u *run) next(ctx context.Context, left []*Node) (*Node, error) {
	if len(left) == 1 {
		return left[0], nil
	}
	best, least := left[0], -1
	for _, n := range left {
		resp, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpShow})
		if err != nil {
			return nil, err
		}
		if resp.Show == nil {
			return nil, fmt.Errorf("cannot use the answer of %s: it is empty", n.Name)
		}
		if held := len(resp.Show.Holds); least < 0 || held < least {
			best, least = n, held
		}
	}
	return best, nil
}

// try applies the revision to a node, and waits until it is proven there.
func (u *run) try(ctx context.Context, n *Node, last bool) error {
	began, step := u.Now(), ""
	resp, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpTry, ID: u.id, Seconds: u.seconds(), Within: u.Healthy, AllowNoServers: u.AllowNoServers, Last: last})
	if err != nil {
		return err
	}
	if resp.Refused != "" {
		return fmt.Errorf("%s refused it: %s", n.Name, resp.Refused)
	}
	for {
		t, err := u.renew(ctx, n)
		if err != nil {
			return err
		}
		u.outcome(n).Phase = t.Phase
		if t.Step != "" && t.Step != step {
			step = t.Step
			u.tell(n.Name, "%s", step)
		}
		switch t.Phase {
		case revision.Applying:
			if !t.Open {
				return fmt.Errorf("%s cannot be confirmed any more: it has not noted that this rollout is there; it is still at %q", n.Name, step)
			}
		case revision.OnTrial:
			o := u.outcome(n)
			o.Took = u.Now().Sub(began).Seconds()
			u.tell(n.Name, "on trial: proven and healthy after %.1f s", o.Took)
			return nil
		default:
			u.outcome(n).Reason = t.Reason
			u.tell(n.Name, "FAILED: %s", t.Reason)
			return fmt.Errorf("%s did not take it: %s", n.Name, t.Reason)
		}
		if u.Now().Sub(began) > tryTime {
			return fmt.Errorf("%s did not take it within %v: it is still at %q", n.Name, tryTime, step)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// reunite waits until a node has come back into service, which it had left because the others would not have heard it.
func (u *run) reunite(ctx context.Context, n *Node) error {
	began, waited := u.Now(), false
	for {
		t, err := u.renew(ctx, n)
		switch {
		case err != nil:
			return err
		case !t.Away && waited:
			u.tell(n.Name, "back in service")
			return nil
		case !t.Away:
			return nil
		case u.Now().Sub(began) > u.Healthy:
			return fmt.Errorf("%s is not back in service after %v, because it does not hear the other nodes", n.Name, u.Healthy)
		}
		waited = true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// renew renews a node's lease, and returns the trial's state.
func (u *run) renew(ctx context.Context, n *Node) (*revision.TrialState, error) {
	resp, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpRenew, ID: u.id, Seconds: u.seconds()})
	if err != nil {
		return nil, err
	}
	if resp.Trial == nil {
		return nil, fmt.Errorf("cannot use the answer of %s: it is empty", n.Name)
	}
	return resp.Trial, nil
}

// undo ends the trials, and waits until the nodes run what they ran before. No node was confirmed.
func (u *run) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	_ = u.each(func(i int, n *Node) error {
		o := &u.result.Nodes[i]
		if o.Phase == "" || o.Phase == revision.Undone {
			return nil
		}
		_, _ = n.Conn.Ask(ctx, revision.Request{Op: revision.OpUndo, ID: u.id})
		u.await(ctx, n, o)
		return nil
	})
	for _, o := range u.result.Nodes {
		u.result.Unknown = u.result.Unknown || o.Phase != "" && o.Phase != revision.Undone
	}
}

// await waits until a trial has ended on a node, or the node was silent for too long: it comes to the same end as the others by
// itself.
func (u *run) await(ctx context.Context, n *Node, o *Outcome) {
	for answered := u.Now(); ; {
		t, err := u.renew(ctx, n)
		if err == nil {
			answered = u.Now()
			o.Phase = t.Phase
			if t.Reason != "" {
				o.Reason = t.Reason
			}
		} else if strings.Contains(err.Error(), "no such trial") {
			o.Phase = "" // it was never staged
		} else {
			o.Reason = err.Error()
		}
		switch o.Phase {
		case revision.Undone, revision.Committed:
			u.tell(n.Name, "%s", map[revision.Phase]string{revision.Undone: "back on what it ran before", revision.Committed: "confirmed"}[o.Phase])
			return
		case "":
			return
		}
		if ctx.Err() != nil || u.Now().Sub(answered) > silentTime {
			u.tell(n.Name, "it is not known how it ended there: %s", o.Reason)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// commit confirms the revision on all nodes. From here on the nodes come to the same end by themselves.
func (u *run) commit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	_ = u.each(func(i int, n *Node) error {
		o := &u.result.Nodes[i]
		// One that refuses, or does not answer, learns from the others whether it was confirmed.
		_, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpCommit, ID: u.id})
		if err != nil {
			o.Reason = err.Error()
		}
		u.await(ctx, n, o)
		return nil
	})
	u.result.Done = true
	var phases []error
	for _, o := range u.result.Nodes {
		u.result.Done = u.result.Done && o.Phase == revision.Committed
		u.result.Unknown = u.result.Unknown || o.Phase != revision.Committed && o.Phase != revision.Undone
		if o.Phase != revision.Committed {
			phases = append(phases, fmt.Errorf("%s is %s: %s", o.Node, o.Phase, o.Reason))
		}
	}
	if !u.result.Done {
		u.result.Reason = errors.Join(phases...).Error()
	}
}
