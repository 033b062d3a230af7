// Package target defines the services whose files the agent watches: haproxy, keepalived and the kernel's settings. A target
// has files, tests them with the service's own program, makes the service run on them, and proves that it does.
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
	// Name returns one of Names.
	Name() string
	// Unit returns the name of its systemd unit; "" if it has none.
	Unit() string
	// Paths returns the paths of its files, including files that do not exist.
	Paths() []string
	// Validate tests the files on the disk.
	Validate(ctx context.Context) validator.Answer
	// Ready returns the reason why the service cannot load files now, or nil.
	Ready(ctx context.Context) error
	// Take makes the service run on its files and proves it. If the service was started after changed, it already runs on them,
	// and Take only proves that. The zero time means that it cannot.
	Take(ctx context.Context, changed time.Time) error
}

// Names lists the names of the targets, sorted.
var Names = [...]string{"haproxy", "keepalived", "sysctl"}

// TakeTime is the time limit of a Take: reload and proof.
const TakeTime = 45 * time.Second

// Units is the part of systemd that a target needs.
type Units interface {
	Reload(ctx context.Context, unit string) error
	Restart(ctx context.Context, unit string) error
	Service(ctx context.Context, unit string) (systemd.Unit, error)
}

// ErrNotRunning reports that a service does not run. New files are tried again when it does.
var ErrNotRunning = errors.New("its service does not run; its files are loaded when it does")

// ErrFailing reports that a service starts and exits again and again.
var ErrFailing = errors.New("its service does not stay up")

// Bad returns the verdict of a test that the agent does itself.
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

// startedOn reports whether a service was started after a time at which its files last changed.
func startedOn(u systemd.Unit, changed time.Time) bool {
	return !changed.IsZero() && u.Started.After(changed)
}

// Shorten limits the length of a reason, because a broken file can cause thousands of messages.
func Shorten(s string) string {
	const longest = 1000
	s = strings.Join(slices.Collect(strings.FieldsSeq(s)), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + " …"
	}
	return s
}

// Node has the properties of a node that its targets need.
type Node struct {
	Conf    *config.Config
	ProcSys string // /proc/sys
	Store   *store.Store
	Run     validator.Runner
	Units   Units // nil: the targets can only be read and tested
	// States returns the instances' states as keepalived reported them; nil: they are not known.
	States func() map[string]keepalived.State
}

// Targets returns the targets in the order of their reloads: haproxy binds addresses that a sysctl may allow, and keepalived is
// the last because it may move VIPs.
func (n Node) Targets() []Target {
	states := n.States
	if states == nil {
		states = func() map[string]keepalived.State { return nil }
	}
	return []Target{
		&Sysctl{file: n.Conf.Sysctl.File, proc: n.ProcSys, units: n.Units},
		&HAProxy{conf: n.Conf.HAProxy, units: n.Units, run: n.Run,
			runs: func() (haproxyRuns, bool) { return runningHAProxy(n.Store, n.Conf.HAProxy) }},
		&Keepalived{conf: n.Conf.Keepalived, units: n.Units, run: n.Run, states: states, addresses: vip.Addresses, watched: process.Exited,
			runs:  func() keepalived.File { return RunningKeepalived(n.Store, n.Conf.Keepalived) },
			split: split{vip.Addresses, neighbor.Ask}},
	}
}

// Target returns the target with a name.
func (n Node) Target(name string) (Target, error) {
	for _, t := range n.Targets() {
		if t.Name() == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("there is no target %q", name)
}
