// Package agent is the daemon: it watches the files of haproxy, keepalived and sysctl, lets the real programs judge new
// bytes, reloads, proves, and commits or rolls back. And it tells keepalived, by a track file, whether haproxy answers.
package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/tool"
)

// target is a service with its files, a validator, a unit and a proof.
type target interface {
	name() string
	// unit that runs it; empty where there is none.
	unit() string
	// paths of its files, whether they are there or not.
	paths() []string
	// validate judges the files on the disk.
	validate(ctx context.Context) tool.Answer
	// ready tells why the service can take nothing over now, or nil.
	ready(ctx context.Context) error
	// take makes the service run on its files and proves it. Where the service was started after changed, and by that runs
	// on them already, it only proves. The zero time stands for a change that it cannot run on.
	take(ctx context.Context, changed time.Time) error
}

// units is what a target needs of systemd.
type units interface {
	Reload(ctx context.Context, unit string) error
	Restart(ctx context.Context, unit string) error
	Service(ctx context.Context, unit string) (systemd.Unit, error)
}

// errNotRunning says that a service does not run: what is new is looked at again when it does.
var errNotRunning = errors.New("its service does not run; its files are taken over when it does")

// errFailing says that a service is started and ends, again and again.
var errFailing = errors.New("its service does not stay up")

// bad is the verdict of what the agent looks at itself.
func bad(format string, args ...any) tool.Answer {
	return tool.Answer{Verdict: tool.Bad, Messages: []string{fmt.Sprintf(format, args...)}}
}

// running tells whether a unit runs.
func running(ctx context.Context, bus units, unit string) (systemd.Unit, error) {
	u, err := bus.Service(ctx, unit)
	if err != nil {
		return u, err
	}
	switch {
	case u.Running():
		return u, nil
	case u.Active == "failed" || u.Active == "activating" && u.Sub == "auto-restart":
		return u, errFailing
	}
	return u, errNotRunning
}

// startedOn tells whether a service was started on files that changed last at some time.
func startedOn(u systemd.Unit, changed time.Time) bool {
	return !changed.IsZero() && u.Started.After(changed)
}

// errServes says that a worker answers its master though it does not answer the check.
var errServes = errors.New("its worker answers its master: perhaps all connections to the check's socket are taken")
