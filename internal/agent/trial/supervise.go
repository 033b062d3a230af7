package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/revision"
)

// Supervisor brings a trial to its end. It is a service of its own, which outlives the rollout's connection, restarts of the
// agent's daemon, and reboots.
type Supervisor struct {
	Store   *Store
	Machine Machine
	Log     *slog.Logger
	// Dial connects to another node; nil: over TCP.
	Dial func(ctx context.Context, a netip.Addr) (net.Conn, error)

	waits string // what was logged of it
	// carry and back apply the revision and undo it; nil: on this machine. A test replaces them.
	carry, back func(ctx context.Context, t *Trial) error
}

// Intervals of the supervisor.
const (
	lookEvery  = 100 * time.Millisecond
	askEvery   = 2 * time.Second
	retryEvery = 10 * time.Second
)

// Run returns when there is no trial any more, or when ctx ends.
func (s *Supervisor) Run(ctx context.Context) error {
	for {
		pause, err := s.step(ctx)
		if err != nil {
			s.Log.Error(err.Error())
			pause = retryEvery
		}
		if pause == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// step does what is due, and returns when to look again; 0: there is no trial.
func (s *Supervisor) step(ctx context.Context) (time.Duration, error) {
	t, err := s.Store.Trial()
	if t == nil || err != nil {
		return 0, err
	}
	id := t.Header.Ref().ID
	switch {
	case t.Maintained && (t.Phase == revision.OnTrial || t.Phase == revision.Committed) && reunited(ctx) == nil:
		err = s.application(t, revision.Content{}).comeBack(ctx)
	case t.Maintained && t.Phase == revision.Committed:
	case final(t.Phase):
		s.Log.Warn("the trial is over", "revision", t.Header.Number, "phase", t.Phase, "reason", t.Reason)
		if t.Phase == revision.Committed {
			if err := s.record(ctx, t); err != nil {
				s.Log.Warn(err.Error())
			}
		}
		return lookEvery, s.Store.finish()
	case t.Phase == revision.Staged && !s.Store.open(t):
		_, err = s.Store.happen(id, refused, "the rollout ended before it was applied here")
	case t.Phase == revision.Applying && t.Before != "":
		_, err = s.Store.happen(id, fails, "the node was interrupted while it applied the revision")
	case t.Phase == revision.Applying:
		err = s.apply(ctx, t)
	case t.Phase == revision.OnTrial && !s.Store.open(t):
		return s.ask(ctx, t)
	case t.Phase == revision.Undoing, t.Phase == revision.Stuck:
		return s.restore(ctx, t)
	}
	return lookEvery, err
}

// ask ends a trial that its rollout has left, as soon as the peers tell enough.
func (s *Supervisor) ask(ctx context.Context, t *Trial) (time.Duration, error) {
	dial := s.Dial
	if dial == nil {
		dial = dialPeer
	}
	stands, why := askAll(ctx, t, dial)
	reason := ""
	e := decide(t.peers(), stands)
	switch e {
	case confirmed:
		reason = "a peer has confirmed it"
	case refused:
		reason = "the rollout ended without confirming it on any node"
	}
	if e != "" {
		_, err := s.Store.happen(t.Header.Ref().ID, e, reason)
		return lookEvery, err
	}
	waits := fmt.Sprintf("the rollout has ended, and it is not known whether other nodes run revision %d: %v; if such a node is lost for good, run `sudo ha-agent revision settle undone` here, or `… committed` if it ran the revision", t.Header.Number, why)
	if waits == s.waits {
		return askEvery, nil
	}
	s.waits = waits
	s.Log.Error(waits)
	_, err := s.Store.change(t.Header.Ref().ID, func(t *Trial) error { t.Waits = waits; return nil })
	return askEvery, err
}

// apply applies the staged revision, and notes how that ended.
func (s *Supervisor) apply(ctx context.Context, t *Trial) error {
	id := t.Header.Ref().ID
	s.Log.Warn("applying on trial", "revision", t.Header.Number, "by", t.Header.By)
	// The rollout may give up meanwhile.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if now, err := s.Store.Trial(); err == nil && (now == nil || now.Phase != revision.Applying) {
				cancel()
			}
			time.Sleep(lookEvery)
		}
	}()
	carry := s.carryOut
	if s.carry != nil {
		carry = s.carry
	}
	failed := carry(ctx, t)
	_, err := s.Store.change(id, func(t *Trial) error {
		e, reason := proves, ""
		switch {
		case failed != nil:
			e, reason = fails, failed.Error()
		case !s.Store.open(t):
			// The rollout has never seen it on trial, so it has confirmed no node.
			e, reason = fails, "the rollout ended while the revision was applied here"
		}
		to, ok := after(t.Phase, e)
		if !ok {
			return nil // the rollout has given up
		}
		s.Log.Warn("applied", "revision", t.Header.Number, "phase", to, "reason", reason)
		t.Phase, t.Step = to, ""
		if t.Reason == "" {
			t.Reason = reason
		}
		return nil
	})
	return err
}

// carryOut keeps what is there, and applies the revision.
func (s *Supervisor) carryOut(ctx context.Context, t *Trial) error {
	to, err := s.Store.content(t.Content)
	if err != nil {
		return err
	}
	for path, was := range t.Disk {
		f, err := onDisk(path)
		if err == nil && f.Digest != was || err != nil && was != "" {
			return fmt.Errorf("%s was changed since the revision was staged", path)
		}
	}
	current, err := s.Store.current()
	if err != nil {
		return err
	}
	paths := ours(current)
	wider := to // with the units that it drops
	dropped := droppedUnits(current, removed(paths, to), to)
	wider.Units = append(slices.Clone(dropped), to.Units...)
	before, err := s.Store.capture(ctx, s.Machine.Run, paths, wider)
	if err != nil {
		return err
	}
	digest, err := s.Store.keep(before)
	if err != nil {
		return err
	}
	id := t.Header.Ref().ID
	if _, err := s.Store.change(id, func(t *Trial) error { t.Before = digest; return nil }); err != nil {
		return err
	}
	a := s.application(t, to)
	a.gone, a.dropped, a.allowNoServers = removed(paths, to), dropped, t.AllowNoServers
	return a.run(ctx)
}

// droppedUnits are the units that a content no longer has: those of the current revision, or those whose files go.
func droppedUnits(current *revision.Content, gone []string, to revision.Content) []revision.Unit {
	var all []revision.Unit
	add := func(name string) {
		is := func(u revision.Unit) bool { return u.Name == name }
		if !slices.ContainsFunc(to.Units, is) && !slices.ContainsFunc(all, is) {
			all = append(all, revision.Unit{Name: name, State: "disabled"})
		}
	}
	if current != nil {
		for _, u := range current.Units {
			if u.State == "enabled" {
				add(u.Name)
			}
		}
	}
	for _, p := range gone {
		if filepath.Ext(p) == ".service" {
			add(filepath.Base(p))
		}
	}
	return all
}

// current returns the content of the current revision; nil: no revision was ever rolled out.
func (s *Store) current() (*revision.Content, error) {
	st, err := s.state()
	if err != nil || st.Content == "" {
		return nil, err
	}
	c, err := s.content(st.Content)
	return &c, err
}

func (s *Supervisor) application(t *Trial, to revision.Content) *application {
	id := t.Header.Ref().ID
	return &application{Machine: s.Machine, store: s.Store, to: to, within: t.Within, last: t.Last, allowNoServers: true,
		step: func(text string) {
			_, err := s.Store.change(id, func(t *Trial) error { t.Step = text; return nil })
			if err != nil && !errors.Is(err, errGone) {
				s.Log.Error(err.Error())
			}
		},
		maintain: func(away bool) error {
			_, err := s.Store.change(id, func(t *Trial) error { t.Maintained = away; return nil })
			return err
		},
	}
}

// restore brings the node back to what it ran before.
func (s *Supervisor) restore(ctx context.Context, t *Trial) (time.Duration, error) {
	id := t.Header.Ref().ID
	back := s.goBack
	if s.back != nil {
		back = s.back
	}
	err := back(ctx, t)
	if err == nil {
		_, err = s.Store.happen(id, restored, "")
		return lookEvery, err
	}
	if ctx.Err() != nil {
		return lookEvery, nil // the next start goes on
	}
	_, notErr := s.Store.change(id, func(t *Trial) error {
		t.Phase, _ = after(t.Phase, restoreFails)
		t.Waits = "the way back has failed, and is tried again: " + err.Error()
		return nil
	})
	return retryEvery, errors.Join(fmt.Errorf("cannot undo revision %d: %w", t.Header.Number, err), notErr)
}

func (s *Supervisor) goBack(ctx context.Context, t *Trial) error {
	if t.Before == "" {
		return nil // nothing was applied
	}
	s.Log.Warn("going back", "revision", t.Header.Number, "reason", t.Reason)
	s.Store.useRoom()
	tried, err := s.Store.content(t.Content)
	if err != nil {
		return err
	}
	before, err := s.Store.content(t.Before)
	if err != nil {
		return err
	}
	var paths []string
	for _, f := range tried.Files {
		paths = append(paths, f.Path)
	}
	var dropped []revision.Unit
	before.Units = slices.DeleteFunc(before.Units, func(u revision.Unit) bool {
		if u.State != absent {
			return false
		}
		if filepath.Ext(u.Name) == ".service" && !isTrials("/usr/lib/systemd/system/"+u.Name) && unitState(ctx, s.Machine.Run, u.Name) != absent {
			dropped = append(dropped, u)
		}
		return true
	})
	a := s.application(t, before)
	a.gone, a.dropped = removed(paths, before), dropped
	if err := a.startAgent(ctx); err != nil {
		s.Log.Error(err.Error()) // the one that was there before may do better
	}
	if err := a.run(ctx); err != nil {
		return err
	}
	if now, err := s.Store.Trial(); err == nil && now != nil && now.Maintained {
		// The application that failed had left the service.
		if !t.Last && partedBy(tried, before) {
			if err := poll.Until(ctx, time.Second, func() (bool, error) { err := reunited(ctx); return err == nil, err }); err != nil {
				return err
			}
		}
		return a.comeBack(ctx)
	}
	return nil
}
