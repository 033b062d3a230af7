// Package target has the services whose files the agent watches: haproxy, keepalived and the kernel's settings. A target has
// files, judges them with the real program, has its service run on them, and proves that it does.
package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/process"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/neighbor"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

// Target is a service with its files, a validator, a unit and a proof.
type Target interface {
	Name() string
	// Unit returns the unit that runs it; "" if there is none.
	Unit() string
	// Paths returns the paths of its files, whether they are there or not.
	Paths() []string
	// Validate judges the files on the disk.
	Validate(ctx context.Context) validator.Answer
	// Ready returns why the service can take nothing over now, or nil.
	Ready(ctx context.Context) error
	// Take makes the service run on its files and proves it. Where the service was started after changed, and by that runs
	// on them already, it only proves. The zero time stands for a change that it cannot run on.
	Take(ctx context.Context, changed time.Time) error
}

// Names are those of the targets, in the order of the alphabet.
var Names = [...]string{"haproxy", "keepalived", "sysctl"}

// TakeTime bounds a Take: reload and proof.
const TakeTime = 45 * time.Second

// Units are what a target needs of systemd.
type Units interface {
	Reload(ctx context.Context, unit string) error
	Restart(ctx context.Context, unit string) error
	Service(ctx context.Context, unit string) (systemd.Unit, error)
}

// ErrNotRunning says that a service does not run: what is new is looked at again when it does.
var ErrNotRunning = errors.New("its service does not run; its files are taken over when it does")

// ErrFailing says that a service is started and ends, again and again.
var ErrFailing = errors.New("its service does not stay up")

// Bad is the verdict of what the agent looks at itself.
func Bad(format string, args ...any) validator.Answer {
	return validator.Answer{Verdict: validator.Bad, Messages: []string{fmt.Sprintf(format, args...)}}
}

// running reports whether a unit runs.
func running(ctx context.Context, units Units, unit string) (systemd.Unit, error) {
	u, err := units.Service(ctx, unit)
	if err != nil {
		return u, err
	}
	switch {
	case u.Running():
		return u, nil
	case u.Active == "failed" || u.Active == "activating" && u.Sub == "auto-restart":
		return u, ErrFailing
	}
	return u, ErrNotRunning
}

// startedOn reports whether a service was started on files that changed last at some time.
func startedOn(u systemd.Unit, changed time.Time) bool {
	return !changed.IsZero() && u.Started.After(changed)
}

// Shorten keeps a reason in bounds: a broken file can make thousands of messages.
func Shorten(s string) string {
	const longest = 1000
	s = strings.Join(slices.Collect(strings.FieldsSeq(s)), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + " …"
	}
	return s
}

// Node are the facts of a node from which its targets are made.
type Node struct {
	Conf    *config.Config
	ProcSys string // /proc/sys
	Store   *store.Store
	Run     validator.Runner
	Units   Units // nil: the targets can only be looked at and judged
	// States returns the instances' states as keepalived told them; nil: nobody hears them.
	States func() map[string]keepalived.State
}

// Targets returns the targets in the order in which they are reloaded: haproxy binds what sysctl lets it, and keepalived comes
// last because it may move VIPs.
func (n Node) Targets() []Target {
	states := n.States
	if states == nil {
		states = func() map[string]keepalived.State { return nil }
	}
	return []Target{
		&Sysctl{file: n.Conf.Sysctl.File, proc: n.ProcSys, units: n.Units},
		&HAProxy{conf: n.Conf.HAProxy, units: n.Units, run: n.Run},
		&Keepalived{conf: n.Conf.Keepalived, units: n.Units, run: n.Run, states: states, addresses: vip.Addresses, watched: process.Exited,
			runs:  func() keepalived.File { return RunningKeepalived(n.Store, n.Conf.Keepalived) },
			split: split{vip.Addresses, neighbor.Ask}},
	}
}

// Target returns the target of a name.
func (n Node) Target(name string) (Target, error) {
	for _, t := range n.Targets() {
		if t.Name() == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("there is no target %q", name)
}
