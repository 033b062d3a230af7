package target

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
)

// meaningTime is how long servers may take to pass their first check after a reload. With haproxy's defaults a dead server is
// DOWN after three checks, at most 12 s.
const meaningTime = 25 * time.Second

// mostMeant bounds how many backends are asked about in one change.
const mostMeant = 500

type allowNoServersKey struct{}

// AllowNoServers returns a context in which a change may leave a backend without servers: the operator says that it is meant.
func AllowNoServers(ctx context.Context) context.Context {
	return context.WithValue(ctx, allowNoServersKey{}, true)
}

// meaning is what must hold after a reload besides that haproxy runs: every backend whose own lines (or defaults) the change
// edits, and that had a server up before, has one up again. Only checks since the reload count.
//
// Backends whose lines stay as they were are not looked at: whatever happens to their servers has another cause. Neither are
// new ones, and those that had no server up.
type meaning struct {
	target   *HAProxy
	backends []string // that must have a server up
}

// meant looks at the servers before a reload. It returns nil if there is nothing to prove.
func (t *HAProxy) meant(ctx context.Context, procs haproxy.Procs, ran haproxyRuns, known bool) *meaning {
	if ctx.Value(allowNoServersKey{}) != nil || t.conf.AllowNoServers || !known {
		return nil
	}
	conf, err := haproxy.Read(t.conf.Config)
	w, serves := procs.Worker()
	if err != nil || !serves {
		return nil
	}
	before, after := haproxy.Backends(ran.conf), haproxy.Backends(conf)
	m := &meaning{target: t}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if lines, existed := before[name]; !existed || lines == after[name] || len(m.backends) == mostMeant {
			continue
		}
		servers, err := t.master().WorkerServers(ctx, w.PID, name)
		if err == nil && slices.ContainsFunc(servers, func(s haproxy.Server) bool { return s.Up() && (s.Check == "" || s.CheckPassed()) }) {
			m.backends = append(m.backends, name)
		}
	}
	if len(m.backends) == 0 {
		return nil
	}
	return m
}

// prove waits until each backend has a server up. It gives up as soon as one has none left that could pass its check. If the
// time is over and a check has not ended, there is no proof against the change either, and it stays.
func (m *meaning) prove(ctx context.Context) error {
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, meaningTime)
	defer cancel()
	times := changeTimes(m.target.Paths()) // before they are read, so that no later change is missed
	files, err := Read(m.target.Paths())
	if err != nil {
		return err
	}
	left := slices.Clone(m.backends)
	var last map[string][]haproxy.Server
	for len(left) > 0 {
		now, err := m.look(ctx, left)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		last = now
		left = slices.DeleteFunc(left, func(name string) bool { return outlook(now[name]) == serves })
		for _, name := range left {
			if outlook(now[name]) == dead {
				return noServers(name, now[name])
			}
		}
		// An editor has saved other files: they are a change of their own, at once.
		if at := changeTimes(m.target.Paths()); at != times {
			if s, err := Read(m.target.Paths()); err != nil || s.Digest != files.Digest {
				return err
			}
			times = at
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	for _, name := range left {
		if failing(last[name]) {
			return noServers(name, last[name])
		}
	}
	return nil
}

// look asks the worker that serves now about backends.
func (m *meaning) look(ctx context.Context, backends []string) (map[string][]haproxy.Server, error) {
	procs, err := m.target.procs(ctx)
	if err != nil {
		return nil, err
	}
	w, ok := procs.Worker()
	if !ok {
		return nil, errors.New("haproxy has no worker")
	}
	all := map[string][]haproxy.Server{}
	for _, name := range backends {
		if all[name], err = m.target.master().WorkerServers(ctx, w.PID, name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// prospect is what can be said of a backend's servers.
type prospect int

const (
	open   prospect = iota // a check has not ended
	serves                 // one is up, and has passed a check since the reload; or all were taken out by an operator
	dead                   // all are down, and were checked
)

func outlook(servers []haproxy.Server) prospect {
	if len(servers) == 0 {
		return dead
	}
	down, out := 0, 0
	for _, s := range servers {
		switch {
		case s.Up() && (s.Check == "" || s.CheckPassed()):
			return serves
		case s.Administrative():
			out++
		case strings.HasPrefix(s.Status, "DOWN") && s.Checked():
			down++
		}
	}
	switch {
	case out == len(servers):
		return serves
	case out+down == len(servers):
		return dead
	}
	return open
}

// failing reports whether each server that no operator took out was checked, and has failed its last check.
func failing(servers []haproxy.Server) bool {
	return !slices.ContainsFunc(servers, func(s haproxy.Server) bool { return !s.Administrative() && (!s.Checked() || s.CheckPassed()) })
}

func noServers(backend string, servers []haproxy.Server) error {
	var words []string
	for _, s := range servers {
		words = append(words, strings.TrimSpace(fmt.Sprintf("%s is %s %s", s.Name, s.Status, s.Check)))
	}
	if len(words) == 0 {
		words = []string{"it has no servers any more"}
	}
	return fmt.Errorf("backend %q had a server up before this change, and has none now: %s; if that is meant, apply the files with --allow-no-servers",
		backend, Shorten(strings.Join(words, ", ")))
}
