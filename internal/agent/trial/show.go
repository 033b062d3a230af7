package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// trial returns the state of a trial, also if it is over.
func (s *Server) trial(ref revision.Ref) (*revision.TrialState, error) {
	t, err := s.Store.Trial()
	if err != nil {
		return nil, err
	}
	if t != nil && t.Header.Ref().ID == ref.ID {
		return s.Store.State(t), nil
	}
	st, err := s.Store.state()
	if err != nil {
		return nil, err
	}
	for _, e := range st.Ended {
		if e.ID != ref.ID {
			continue
		}
		over := &revision.TrialState{Ref: e.Ref, Phase: revision.Undone, Reason: e.Reason, Since: e.Time}
		if e.Outcome == revision.WasCommitted {
			over.Phase = revision.Committed
		}
		return over, nil
	}
	return nil, errGone
}

// Show returns what the node runs.
func (s *Server) Show(ctx context.Context) (*revision.Show, error) {
	st, err := s.Store.state()
	if err != nil {
		return nil, err
	}
	t, err := s.Store.Trial()
	if err != nil {
		return nil, err
	}
	show := &revision.Show{Format: revision.Format, Cluster: s.Conf.Cluster, Node: s.Conf.Node, Current: st.Current, Content: st.Content,
		Since: st.Since, By: st.By, Previous: st.Previous, Trial: s.Store.State(t)}
	if show.Agent, err = fileDigest(wellknown.Agent); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", wellknown.Agent, err)
	}
	if show.Recorded, err = recorded(); err != nil {
		return nil, err
	}
	if show.Drift, err = s.Store.Drift(); err != nil {
		return nil, err
	}
	var status control.Status
	if err := s.Machine.Ask(ctx, control.Request{Command: "status"}, &status); err != nil {
		show.Problems = []string{err.Error()}
		return show, nil
	}
	status.Judge(time.Now())
	show.Problems = status.Problems
	for _, v := range status.VIPs {
		if v.Held {
			show.Holds = append(show.Holds, v.Name)
		}
	}
	return show, nil
}

// Status returns what the last rollout brought; nil: none has reached this node, or what is kept of it cannot be read, which a
// rollout reports.
func (s *Store) Status() *control.Revision {
	st, err := s.state()
	if err != nil {
		return nil
	}
	t, err := s.Trial()
	if err != nil || t == nil && st.Current.Number == 0 {
		return nil
	}
	r := &control.Revision{Ref: st.Current, Since: st.Since, By: st.By, Trial: s.State(t)}
	r.Drift, _ = s.Drift()
	return r
}

// Drift returns the files that differ from the current revision. During a trial they are those of the trial, and nothing is
// told.
func (s *Store) Drift() ([]string, error) {
	if t, err := s.Trial(); t != nil || err != nil {
		return nil, err
	}
	current, err := s.current()
	if current == nil || err != nil {
		return nil, err
	}
	var drift []string
	for _, f := range current.Files {
		if d, err := differs(f); err != nil || d != same {
			drift = append(drift, f.Path)
		}
	}
	return drift, nil
}

// compare compares the node with a content, whose files need no data but agent.yaml.
func (s *Server) compare(ctx context.Context, to revision.Content) (*revision.Comparison, error) {
	current, err := s.Store.current()
	if err != nil {
		return nil, err
	}
	a := &application{Machine: s.Machine, store: s.Store, to: to, gone: removed(ours(current), to)}
	if err := a.plan(); err != nil {
		return nil, err
	}
	c := &revision.Comparison{Removed: a.gone, Effects: a.effects.words(), Moves: a.effects.moves()}
	for _, f := range a.changed {
		if a.kinds[f.Path] == isNew {
			c.New = append(c.New, f.Path)
		} else {
			c.Changed = append(c.Changed, f.Path)
		}
	}
	if c.Agent, err = a.otherAgent(); err != nil {
		return nil, err
	}
	if c.Packages, err = missingPackages(ctx, s.Machine.Run, to.Packages); err != nil {
		return nil, err
	}
	for _, u := range to.Units {
		if now := unitState(ctx, s.Machine.Run, u.Name); now != u.State {
			c.Units = append(c.Units, fmt.Sprintf("%s: %s, now %s", u.Name, u.State, now))
		}
	}
	c.Drift, err = s.Store.Drift()
	c.FirstBoot = current != nil && current.FirstBoot != to.FirstBoot
	return c, err
}
