package rollout

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/revision"
)

// fakeNode answers as a node does.
type fakeNode struct {
	name  string
	holds []string

	mu     sync.Mutex
	asked  []string // operations, without shows and renewals
	phase  revision.Phase
	fail   string // why the trial fails
	refuse string // why staging is refused
	lost   string // an operation whose answer never comes, with all later ones
	dead   bool
}

func (f *fakeNode) Close() {}

func (f *fakeNode) Ask(ctx context.Context, req revision.Request) (revision.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Op != revision.OpShow && req.Op != revision.OpRenew && req.Op != revision.OpAgent {
		f.asked = append(f.asked, req.Op)
	}
	if f.dead = f.dead || f.lost == req.Op; f.dead {
		return revision.Response{}, errors.New("no route to " + f.name)
	}
	switch req.Op {
	case revision.OpShow:
		return revision.Response{Show: &revision.Show{Format: revision.Format, Cluster: "c", Node: f.name, Holds: f.holds}}, nil
	case revision.OpStage:
		if f.refuse != "" {
			return revision.Response{Refused: f.refuse}, nil
		}
		f.phase = revision.Staged
	case revision.OpTry:
		f.phase = revision.OnTrial
		if f.fail != "" {
			f.phase = revision.Undoing
		}
	case revision.OpRenew:
		if f.phase == revision.Undoing {
			f.phase = revision.Undone
		}
	case revision.OpCommit:
		f.phase = revision.Committed
	case revision.OpUndo:
		f.phase = revision.Undoing
	}
	return revision.Response{Trial: &revision.TrialState{Phase: f.phase, Open: true, Reason: f.fail}}, nil
}

func rolloutOf(nodes ...*fakeNode) (*Rollout, []Seen) {
	r := &Rollout{Cluster: "c", Now: time.Now, Report: func(Event) {}, Lease: time.Second}
	var seen []Seen
	for i, f := range nodes {
		r.Nodes = append(r.Nodes, &Node{Name: f.name, Conn: f})
		r.Members = append(r.Members, revision.Member{Name: f.name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}})
		seen = append(seen, Seen{Node: f.name})
	}
	return r, seen
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		a, b       *fakeNode
		done       bool
		reason     string
		askedA     string
		askedB     string
		endA, endB revision.Phase
	}{
		"done, the node without a VIP first": {a: &fakeNode{holds: []string{"v"}}, done: true,
			askedA: "stage try commit", askedB: "stage try commit", endA: revision.Committed, endB: revision.Committed},
		"refused by the second when it is staged": {b: &fakeNode{refuse: "bad"}, reason: "b refused it: bad",
			askedA: "stage undo", askedB: "stage", endA: revision.Undone},
		"the first does not become healthy": {a: &fakeNode{fail: "sick"}, reason: "a did not take it: sick",
			askedA: "stage try", askedB: "stage undo", endA: revision.Undone, endB: revision.Undone},
		"the second does not become healthy": {b: &fakeNode{fail: "sick"}, reason: "b did not take it: sick",
			askedA: "stage try undo", askedB: "stage try", endA: revision.Undone, endB: revision.Undone},
	} {
		t.Run(name, func(t *testing.T) {
			if c.a == nil {
				c.a = &fakeNode{}
			}
			if c.b == nil {
				c.b = &fakeNode{}
			}
			c.a.name, c.b.name = "a", "b"
			r, seen := rolloutOf(c.a, c.b)
			var order []string
			r.Report = func(e Event) {
				if strings.HasPrefix(e.Text, "on trial") {
					order = append(order, e.Node)
				}
			}
			got := r.Run(t.Context(), seen)
			if got.Done != c.done || got.Reason != c.reason || got.Unknown {
				t.Errorf("done %v, unknown %v, reason %q; want %v, false, %q", got.Done, got.Unknown, got.Reason, c.done, c.reason)
			}
			if a, b := strings.Join(c.a.asked, " "), strings.Join(c.b.asked, " "); a != c.askedA || b != c.askedB {
				t.Errorf("a was asked to %q and b to %q, want %q and %q", a, b, c.askedA, c.askedB)
			}
			if got.Nodes[0].Phase != c.endA || got.Nodes[1].Phase != c.endB {
				t.Errorf("the nodes are %q and %q, want %q and %q", got.Nodes[0].Phase, got.Nodes[1].Phase, c.endA, c.endB)
			}
			if c.done && !slices.Equal(order, []string{"b", "a"}) {
				t.Errorf("the order is %q, want b before a, which holds a VIP", order)
			}
		})
	}
}

// Once a confirmation is on its way, nothing may be undone: it may have arrived.
func TestNothingIsUndoneAfterAConfirmation(t *testing.T) {
	a, b := &fakeNode{name: "a"}, &fakeNode{name: "b", lost: revision.OpCommit}
	r, seen := rolloutOf(a, b)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.Report = func(e Event) {
		if e.Text == "confirmed" {
			cancel()
			b.mu.Lock() // it is back, and has learned of the confirmation
			b.dead, b.lost, b.phase = false, "", revision.Committed
			b.mu.Unlock()
		}
	}
	got := r.Run(ctx, seen)
	if !got.Done || slices.Contains(a.asked, revision.OpUndo) || slices.Contains(b.asked, revision.OpUndo) {
		t.Errorf("done %v; a was asked to %q and b to %q", got.Done, a.asked, b.asked)
	}
}

func TestInterrupted(t *testing.T) {
	a, b := &fakeNode{name: "a"}, &fakeNode{name: "b"}
	r, seen := rolloutOf(a, b)
	ctx, cancel := context.WithCancel(t.Context())
	r.Report = func(e Event) {
		if strings.HasPrefix(e.Text, "on trial") {
			cancel()
		}
	}
	got := r.Run(ctx, seen)
	if got.Done || got.Reason != "it was interrupted" || got.Nodes[0].Phase != revision.Undone || got.Nodes[1].Phase != revision.Undone {
		t.Errorf("got %+v", got)
	}
}

func TestLookWaitsForWhatAnEarlierRolloutHasLeft(t *testing.T) {
	open := []Seen{{Node: "a", Show: revision.Show{Trial: &revision.TrialState{Open: true, Phase: revision.OnTrial}}}}
	left := []Seen{{Node: "a", Show: revision.Show{Trial: &revision.TrialState{Phase: revision.OnTrial, Waits: "b is silent; run settle undone"}}}}
	r := &Rollout{}
	var l *leftError
	if err := r.pending(open); err == nil || errors.As(err, &l) || !strings.Contains(err.Error(), "another rollout is at work") {
		t.Errorf("an open trial: %v", err)
	}
	if err := r.pending(left); !errors.As(err, &l) || !strings.Contains(err.Error(), "b is silent") || !strings.Contains(err.Error(), "settle") {
		t.Errorf("a trial that was left: %v", err)
	}
}
