package trial

import "github.com/hapair/hapair/internal/revision"

// event is what happens to a trial.
type event string

const (
	// tried: the rollout has the staged revision applied.
	tried event = "tried"
	// proves: everything is applied, and the node is healthy.
	proves event = "proves"
	// fails: it could not be applied, or the node did not become healthy; or the one that applied it died.
	fails event = "fails"
	// confirmed: the rollout, or a peer to which it has confirmed the revision, says that it stays.
	confirmed event = "confirmed"
	// refused: the rollout gives up, or no node can be confirmed any more.
	refused event = "refused"
	// restored: the node is back on what it ran before.
	restored event = "restored"
	// restoreFails: it could not go back; it is tried again.
	restoreFails event = "restore fails"
)

// transitions are all that can happen to a trial.
var transitions = []struct {
	from revision.Phase
	on   event
	to   revision.Phase
}{
	{revision.Staged, tried, revision.Applying},
	{revision.Staged, refused, revision.Undone}, // nothing was applied

	{revision.Applying, proves, revision.OnTrial},
	{revision.Applying, fails, revision.Undoing},
	{revision.Applying, refused, revision.Undoing},

	{revision.OnTrial, confirmed, revision.Committed},
	{revision.OnTrial, refused, revision.Undoing},

	{revision.Undoing, restored, revision.Undone},
	{revision.Undoing, restoreFails, revision.Stuck},
	{revision.Stuck, restored, revision.Undone},
	{revision.Stuck, restoreFails, revision.Stuck},
}

// after returns the phase that follows an event, and whether the event is possible in this phase.
func after(p revision.Phase, e event) (revision.Phase, bool) {
	for _, t := range transitions {
		if t.from == p && t.on == e {
			return t.to, true
		}
	}
	return p, false
}

// final reports whether nothing can happen any more.
func final(p revision.Phase) bool { return p == revision.Committed || p == revision.Undone }

// Stand is what a node says of its part of a revision. Closed and committed are for ever: a node never leaves them.
type Stand string

const (
	// Open: the rollout can still confirm it here.
	Open Stand = "open"
	// Closed: it was not confirmed here, and the rollout cannot confirm it any more.
	Closed Stand = "closed"
	// Confirmed: the rollout has confirmed it here.
	Confirmed Stand = "confirmed"
)

// standOf returns what a node says in a phase. leased reports whether the rollout was there lately: once it was not, it never
// is again, because a node renews no lease that has run out.
func standOf(p revision.Phase, leased bool) Stand {
	switch p {
	case revision.Committed:
		return Confirmed
	case revision.Staged, revision.Applying, revision.OnTrial:
		if leased {
			return Open
		}
	}
	return Closed
}

// decide returns what becomes of a trial on this node, which is closed, from what its peers say; empty: nothing yet. A
// peer that did not answer is not in stands.
//
// A node that undoes it has seen that all others are closed. Closed is for ever, and a closed node is confirmed only
// because another one is: so none ever will be. A node that confirms it has seen one that is confirmed, which is for ever,
// too, and which all others see as soon as they can reach it. So all nodes come to the same answer.
func decide(peers []string, stands map[string]Stand) event {
	closed := 0
	for _, p := range peers {
		switch stands[p] {
		case Confirmed:
			return confirmed
		case Closed:
			closed++
		}
	}
	if closed == len(peers) {
		return refused
	}
	return ""
}
