package trial

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/testing/needs"
)

var allPhases = []revision.Phase{revision.Staged, revision.Applying, revision.OnTrial, revision.Committed, revision.Undoing, revision.Undone, revision.Stuck}

func TestTransitions(t *testing.T) {
	for _, p := range allPhases {
		for _, e := range []event{tried, proves, fails, confirmed, refused, restored, restoreFails} {
			to, ok := after(p, e)
			if final(p) && ok {
				t.Errorf("%s can still be %s", p, e)
			}
			// What was said to peers must hold: what is closed can become confirmed only by their answer.
			if ok && standOf(p, false) == Closed && standOf(to, false) != Closed && !(p == revision.OnTrial && e == confirmed) {
				t.Errorf("%s, %s: %s was closed and is not any more", p, e, to)
			}
		}
	}
}

func TestDecide(t *testing.T) {
	peers := []string{"b", "c"}
	for _, c := range []struct {
		b, c Stand // empty: no answer
		want event
	}{
		{"", "", ""}, {"", Open, ""}, {"", Closed, ""}, {"", Confirmed, confirmed},
		{Open, Open, ""}, {Open, Closed, ""}, {Open, Confirmed, confirmed},
		{Closed, Closed, refused}, {Closed, Confirmed, confirmed}, {Confirmed, Confirmed, confirmed},
	} {
		for range 2 {
			stands := map[string]Stand{}
			for name, s := range map[string]Stand{"b": c.b, "c": c.c} {
				if s != "" {
					stands[name] = s
				}
			}
			if got := decide(peers, stands); got != c.want {
				t.Errorf("decide with %v = %q, want %q", stands, got, c.want)
			}
			c.b, c.c = c.c, c.b
		}
	}
	if got := decide(nil, nil); got != refused {
		t.Errorf("a node without peers that its rollout has left: %q, want %q", got, refused)
	}
}

// world is a rollout to some nodes, with everything that is under way.
type world struct {
	nodes   []simulated
	next    int    // the node that the rollout tries next
	mode    string // of the rollout: trying, committing, undoing, or dead
	trying  bool   // a request to try is on its way to the node next
	commits uint   // nodes to which a confirmation is on its way
	undos   uint   // nodes to which the order to go back is on its way
}

type simulated struct {
	phase  revision.Phase
	leased bool
	heard  string // a letter for each node: what it said last
}

// key returns a text that is different for different worlds.
func (w world) key() string {
	var b [64]byte
	k := append(b[:0], w.mode[0], byte('0'+w.next), byte('0'+w.commits), byte('0'+w.undos), boolByte(w.trying))
	for _, n := range w.nodes {
		k = append(append(k, byte('0'+slices.Index(allPhases, n.phase)), boolByte(n.leased)), n.heard...)
	}
	return string(k)
}

func boolByte(b bool) byte {
	if b {
		return '+'
	}
	return '-'
}

var letters = map[Stand]byte{"": '-', Open: 'o', Closed: 'c', Confirmed: 'f'}

// happen returns the world after an event on a node.
func (w world) happen(i int, e event) (world, bool) {
	to, ok := after(w.nodes[i].phase, e)
	if !ok {
		return w, false
	}
	w.nodes = slices.Clone(w.nodes)
	w.nodes[i].phase = to
	return w, true
}

// steps returns every world that one step leads to. The rollout may die at any step, messages are delivered late or never, in
// any order; leases run out at any time; and questions are answered one by one, or not at all.
func (w world) steps() []world {
	var all []world
	add := func(v world, ok bool) {
		if ok {
			all = append(all, v)
		}
	}
	all = append(all, w.rollout()...)
	for i, n := range w.nodes {
		bit := uint(1) << i
		if w.commits&bit != 0 { // delivered, or lost
			v := w
			v.commits &^= bit
			all = append(all, v)
			if n.leased && n.phase == revision.OnTrial {
				add(v.happen(i, confirmed))
			}
		}
		if w.undos&bit != 0 {
			v := w
			v.undos &^= bit
			all = append(all, v)
			add(v.happen(i, refused))
		}
		if n.leased {
			v := w
			v.nodes = slices.Clone(w.nodes)
			v.nodes[i].leased = false
			all = append(all, v)
		}
		switch n.phase {
		case revision.Staged:
			if !n.leased {
				add(w.happen(i, refused))
			}
		case revision.Applying:
			add(w.happen(i, fails))
			if n.leased {
				add(w.happen(i, proves))
			}
		case revision.Undoing, revision.Stuck:
			add(w.happen(i, restored))
		case revision.OnTrial:
			if !n.leased {
				all = append(all, w.asks(i)...)
			}
		}
	}
	return all
}

// rollout returns what the rollout may do.
func (w world) rollout() []world {
	if w.mode == "dead" {
		return nil
	}
	dead := w
	dead.mode = "dead"
	all := []world{dead}
	if w.mode != "trying" {
		return all
	}
	undo := w
	undo.mode, undo.undos = "undoing", 1<<len(w.nodes)-1
	all = append(all, undo)
	if w.trying { // the request arrives; or it is lost, and the rollout asks again
		v := w
		v.trying = false
		all = append(all, v)
		if w.nodes[w.next].leased {
			if v, ok := v.happen(w.next, tried); ok {
				all = append(all, v)
			}
		}
		return all
	}
	switch {
	case w.next < len(w.nodes) && w.nodes[w.next].phase == revision.Staged:
		v := w
		v.trying = true
		all = append(all, v)
	case w.next < len(w.nodes) && w.nodes[w.next].phase == revision.OnTrial:
		v := w
		v.next++
		all = append(all, v)
	case w.next == len(w.nodes):
		v := w
		v.mode, v.commits = "committing", 1<<len(w.nodes)-1
		all = append(all, v)
	}
	return all
}

// asks returns what may come of a node's questions.
func (w world) asks(i int) []world {
	var all []world
	heard := map[string]Stand{}
	var peers []string
	for j := range w.nodes {
		if j == i {
			continue
		}
		name := string(rune('0' + j))
		peers = append(peers, name)
		for s, l := range letters {
			if s != "" && w.nodes[i].heard[j] == l {
				heard[name] = s
			}
		}
		said := letters[standOf(w.nodes[j].phase, w.nodes[j].leased)]
		if w.nodes[i].heard[j] != said {
			v := w
			v.nodes = slices.Clone(w.nodes)
			b := []byte(v.nodes[i].heard)
			b[j] = said
			v.nodes[i].heard = string(b)
			all = append(all, v)
		}
	}
	if e := decide(peers, heard); e != "" {
		if v, ok := w.happen(i, e); ok {
			all = append(all, v)
		}
	}
	return all
}

// TestEveryInterleavingEndsAlike goes through every order in which a rollout, its messages, leases, crashes and questions can
// meet. No node may keep a revision that another one has undone, and whatever has happened, there is a way to an end.
func TestEveryInterleavingEndsAlike(t *testing.T) {
	for _, count := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			if count > 2 {
				needs.Programs(t) // 300,000 states take too long for a unit test
			}
			allInterleavings(t, count)
		})
	}
}

func allInterleavings(t *testing.T, count int) {
	first := world{mode: "trying"}
	for range count {
		first.nodes = append(first.nodes, simulated{phase: revision.Staged, leased: true, heard: strings.Repeat("-", count)})
	}
	seen := map[string]bool{first.key(): true}
	ends := map[string]int{}
	for queue := []world{first}; len(queue) > 0; {
		w := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		kept, undone := w.ended()
		if kept > 0 && undone > 0 {
			t.Fatalf("one keeps the revision, another does not: %+v", w)
		}
		next := w.steps()
		if len(next) == 0 {
			if kept != count && undone != count {
				t.Fatalf("it never ends: %+v", w)
			}
			ends[map[bool]string{true: "kept", false: "undone"}[kept > 0]]++
		}
		for _, v := range next {
			if k := v.key(); !seen[k] {
				seen[k] = true
				queue = append(queue, v)
			}
		}
	}
	if ends["kept"] == 0 || ends["undone"] == 0 {
		t.Errorf("the ends are %v, want both kinds", ends)
	}
	t.Logf("%d states, ends %v", len(seen), ends)
}

// ended returns how many nodes keep the revision, and how many do not.
func (w world) ended() (kept, undone int) {
	for _, n := range w.nodes {
		switch n.phase {
		case revision.Committed:
			kept++
		case revision.Undone, revision.Undoing, revision.Stuck:
			undone++
		}
	}
	return kept, undone
}
