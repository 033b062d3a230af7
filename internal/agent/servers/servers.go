// Package servers keeps what an operator has set for single servers of haproxy: drained, disabled, or another weight. haproxy
// itself forgets it at a restart. The agent writes it down, and sets it again whenever haproxy is another process.
package servers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/regular"
)

// askTime bounds a command to haproxy.
const askTime = 2 * time.Second

// interval is how often the agent looks whether haproxy is another process. Without kept states it does not look.
const interval = time.Second

// Keeper keeps the states. Its fields other than the first ones must not be changed.
type Keeper struct {
	File   string         // where the states are kept
	Master haproxy.Socket // haproxy's master socket
	Log    *slog.Logger
	Now    func() time.Time

	mu     sync.Mutex
	states []control.ServerState // sorted by backend and server
	worker int                   // the process that has them; 0: none
}

// isName reports whether haproxy allows a name for proxies and servers (configuration.txt, "proxies").
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:", r)
	})
}

// Load reads the kept states. A file that cannot be read is reported, and counts as empty.
func (k *Keeper) Load() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	data, err := regular.ReadFile(k.File, regular.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &k.states)
	}
	if err != nil {
		k.states = nil
		return fmt.Errorf("cannot read the states of servers that an operator has set: %w", err)
	}
	return nil
}

// List returns the kept states.
func (k *Keeper) List() []control.ServerState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.states)
}

// Run sets the states again whenever haproxy is another process, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		k.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (k *Keeper) look(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.states) == 0 {
		return
	}
	pid, err := k.serving(ctx)
	if err != nil || pid == k.worker {
		return // it is asked again soon
	}
	k.worker = pid
	for i := range k.states {
		s := &k.states[i]
		before := s.Why
		s.Why = ""
		if err := k.set(ctx, pid, s); err != nil {
			s.Why = err.Error()
			if s.Why != before {
				k.Log.Warn("cannot set a server as an operator has", "server", s.Backend+"/"+s.Server, "state", s.String(), "error", err)
			}
		}
	}
}

// serving returns the process ID of the worker that serves.
func (k *Keeper) serving(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	procs, err := k.Master.ShowProc(ctx)
	if err != nil {
		return 0, err
	}
	w, ok := procs.Worker()
	if !ok {
		return 0, errors.New("haproxy has no worker")
	}
	return w.PID, nil
}

// set makes haproxy do what a state says.
func (k *Keeper) set(ctx context.Context, pid int, s *control.ServerState) error {
	if s.Weight != nil {
		if err := k.command(ctx, pid, s, fmt.Sprintf("weight %d", *s.Weight)); err != nil {
			return err
		}
	}
	switch s.State {
	case control.ServerDrain:
		return k.command(ctx, pid, s, "state drain")
	case control.ServerDisable:
		return k.command(ctx, pid, s, "state maint")
	}
	return nil
}

// command runs "set server BACKEND/SERVER …", whose answer is empty if it succeeds.
func (k *Keeper) command(ctx context.Context, pid int, s *control.ServerState, what string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answer, err := k.Master.Ask(ctx, fmt.Sprintf("@!%d set server %s/%s %s", pid, s.Backend, s.Server, what))
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); answer != "" {
		return fmt.Errorf("haproxy refuses %q: %s", what, answer)
	}
	return nil
}

// Answer carries out a request.
func (k *Keeper) Answer(ctx context.Context, req control.ServerRequest) (control.ServerDone, error) {
	done := control.ServerDone{Server: req.Backend + "/" + req.Server}
	if !isName(req.Backend) || !isName(req.Server) {
		return done, fmt.Errorf("cannot set the server %q: it must be BACKEND/SERVER", done.Server)
	}
	if req.Action == control.ServerWeight && (req.Weight < 0 || req.Weight > 256) {
		return done, fmt.Errorf("cannot set the weight %d: it must be 0 to 256", req.Weight)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	pid, err := k.serving(ctx)
	if err != nil {
		return done, fmt.Errorf("cannot set the server %s: %w", done.Server, err)
	}
	at, kept := slices.BinarySearchFunc(k.states, req, func(s control.ServerState, r control.ServerRequest) int {
		return cmp.Or(strings.Compare(s.Backend, r.Backend), strings.Compare(s.Server, r.Server))
	})
	state := control.ServerState{Backend: req.Backend, Server: req.Server}
	if kept {
		state = k.states[at]
	}
	state.Since, state.Why = k.Now().UTC().Truncate(time.Second), ""
	switch req.Action {
	case control.ServerDrain, control.ServerDisable:
		state.State = req.Action
	case control.ServerWeight:
		state.Weight = &req.Weight
	case control.ServerReady:
		return k.ready(ctx, pid, done, state, at, kept)
	default:
		return done, fmt.Errorf("cannot set the server %s: the action %q is not known", done.Server, req.Action)
	}
	if err := k.set(ctx, pid, &state); err != nil {
		done.Refused = err.Error()
		return done, nil
	}
	states := slices.Clone(k.states)
	if kept {
		states[at] = state
	} else {
		states = slices.Insert(states, at, state)
	}
	done.Set = state.String()
	return k.keep(done, states, pid)
}

// ready brings a server back. One that haproxy does not have any more is forgotten.
func (k *Keeper) ready(ctx context.Context, pid int, done control.ServerDone, state control.ServerState, at int, kept bool) (control.ServerDone, error) {
	err := k.command(ctx, pid, &state, "state ready")
	if err == nil && state.Weight != nil {
		err = k.command(ctx, pid, &state, "weight 100%") // that of the configuration
	}
	if err != nil && !kept {
		done.Refused = err.Error()
		return done, nil
	}
	states := k.states
	if kept {
		states = slices.Delete(slices.Clone(k.states), at, at+1)
	}
	done.Set = control.ServerReady
	return k.keep(done, states, pid)
}

// keep writes states down, and then counts on them.
func (k *Keeper) keep(done control.ServerDone, states []control.ServerState, pid int) (control.ServerDone, error) {
	data, err := json.MarshalIndent(states, "", "  ")
	if err == nil {
		err = durable.WriteFile(k.File, append(data, '\n'), 0o600, durable.Keep, durable.Keep)
	}
	if err != nil {
		return done, fmt.Errorf("the server %s is set to %s, but that could not be kept, and ends with haproxy's process: %w", done.Server, done.Set, err)
	}
	if len(k.states) == 0 {
		k.worker = pid // it has them all
	}
	k.states, done.Kept = states, slices.Clone(states)
	return done, nil
}
