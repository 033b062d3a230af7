package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/revision"
)

// Node is a node of a rollout.
type Node struct {
	Name string
	Conn Conn
	// Content is what the node must contain. A rollback leaves it empty, and Reuse is the digest of what the node has kept.
	Content revision.Content
	Reuse   string
}

// digest is that of the content that the node must have.
func (n *Node) digest() string {
	if n.Reuse != "" {
		return n.Reuse
	}
	return n.Content.Digest()
}

// Rollout brings a revision to nodes.
type Rollout struct {
	Cluster string
	Members []revision.Member // as Members returns them
	Nodes   []*Node           // in the same order
	By      string
	// Lease is how long a trial may go on without this rollout. The default is 30 s.
	Lease time.Duration
	// Healthy is how long a node may take to become healthy. The default is a minute.
	Healthy time.Duration
	// AllowNoServers keeps the revision even if it leaves a backend without servers that had one up.
	AllowNoServers bool
	Report         func(Event)
	Now            func() time.Time
}

// Event is a line of a rollout's progress.
type Event struct {
	Node string `json:"node,omitempty"` // empty: it concerns all
	Text string `json:"text"`
}

// Seen is what a node runs, and how it differs from what it must contain.
type Seen struct {
	Node    string               `json:"node"`
	Show    revision.Show        `json:"show"`
	Compare *revision.Comparison `json:"compare,omitempty"` // nil for a rollback
}

// settleTime is how long Look waits for trials that an earlier rollout has left.
const settleTime = 2 * time.Minute

// Look asks what the nodes run. A trial that a rollout has left ends by itself: Look waits for it.
func (r *Rollout) Look(ctx context.Context) ([]Seen, error) {
	deadline := r.Now().Add(settleTime)
	told := false
	for {
		seen := make([]Seen, len(r.Nodes))
		if err := r.each(func(i int, n *Node) error {
			resp, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpShow})
			if err != nil {
				return err
			}
			if resp.Show == nil {
				return fmt.Errorf("cannot use the answer of %s: it is empty", n.Name)
			}
			seen[i] = Seen{Node: n.Name, Show: *resp.Show}
			return nil
		}); err != nil {
			return nil, err
		}
		err := r.pending(seen)
		if err == nil {
			return seen, r.fits(seen)
		}
		var left *leftError
		if !errors.As(err, &left) || r.Now().After(deadline) {
			return nil, err
		}
		if !told {
			r.tell("", "an earlier rollout has left a trial: waiting until the nodes have ended it")
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// Busy is the error that another rollout is at work.
type Busy struct{ error }

// leftError is a trial that its rollout has left, and that the nodes have not ended yet.
type leftError struct{ error }

// pending returns the trial that keeps another rollout from beginning, or nil.
func (r *Rollout) pending(seen []Seen) error {
	for _, s := range seen {
		t := s.Show.Trial
		switch {
		case t == nil:
		case t.Open:
			return &Busy{fmt.Errorf("cannot roll out: another rollout is at work: on %s, %v is %s since %s; if that rollout was interrupted, the nodes end it within a minute",
				s.Node, t.Ref, t.Phase, t.Since.Format(time.RFC3339))}
		default:
			why := t.Waits
			if why == "" {
				why = t.Reason
			}
			return &leftError{fmt.Errorf("cannot roll out: on %s, %v is %s: %s",
				s.Node, t.Ref, t.Phase, why)}
		}
	}
	return nil
}

// fits checks that the nodes are those of the spec.
func (r *Rollout) fits(seen []Seen) error {
	for _, s := range seen {
		if s.Show.Format != revision.Format {
			return fmt.Errorf("cannot roll out: %s has an agent that understands format %d of revisions, not %d", s.Node, s.Show.Format, revision.Format)
		}
		if s.Show.Cluster != r.Cluster || s.Show.Node != s.Node {
			return fmt.Errorf("cannot roll out: at the address of %s answers node %s of cluster %s", s.Node, s.Show.Node, s.Show.Cluster)
		}
	}
	return nil
}

// Compare compares the nodes with what they must contain. With bring, the nodes keep the agent's new program now, which knows
// best what its revision does; it is installed only on trial.
func (r *Rollout) Compare(ctx context.Context, seen []Seen, bring bool) error {
	return r.each(func(i int, n *Node) error {
		if n.Reuse != "" {
			return nil
		}
		if bring {
			if _, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpAgent}); err != nil {
				return err
			}
		}
		manifest := n.Content
		resp, err := n.Conn.Ask(ctx, revision.Request{Op: revision.OpCompare, Content: &manifest})
		seen[i].Compare = resp.Compare
		return err
	})
}

// Current returns the highest revision that a node runs.
func Current(seen []Seen) revision.Ref {
	return slices.MaxFunc(seen, func(a, b Seen) int { return a.Show.Current.Number - b.Show.Current.Number }).Show.Current
}

// Nothing reports whether all nodes run the same revision, which is what they must contain.
func (r *Rollout) Nothing(seen []Seen) bool {
	for i, s := range seen {
		if s.Show.Current.Number == 0 || s.Show.Current != seen[0].Show.Current || s.Show.Content != r.Nodes[i].digest() || len(s.Show.Drift) > 0 {
			return false
		}
		if s.Compare != nil && !s.Compare.Same() {
			return false
		}
	}
	return true
}

// header returns the header of the new revision.
func (r *Rollout) header(seen []Seen, token []byte) revision.Header {
	h := revision.Header{Format: revision.Format, Cluster: r.Cluster, Number: Current(seen).Number + 1, Created: r.Now().UTC().Truncate(time.Second),
		By: r.By, Token: token, Nodes: slices.Clone(r.Members)}
	for i := range h.Nodes {
		h.Nodes[i].Predecessor = seen[i].Show.Current.ID
		h.Nodes[i].Content = r.Nodes[i].digest()
	}
	return h
}

// each calls f for all nodes concurrently, and returns their errors, in the order of the nodes.
func (r *Rollout) each(f func(i int, n *Node) error) error {
	errs := make([]error, len(r.Nodes))
	var wg sync.WaitGroup
	for i, n := range r.Nodes {
		wg.Go(func() { errs[i] = f(i, n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *Rollout) tell(node, format string, args ...any) {
	r.Report(Event{node, strings.TrimSpace(fmt.Sprintf(format, args...))})
}
