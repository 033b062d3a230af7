package trial

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/validator"
)

// Machine is what applying a revision needs of this machine.
type Machine struct {
	Run validator.Runner
	// Ask asks the agent's daemon.
	Ask func(ctx context.Context, req control.Request, result any) error
}

// Limits of single steps.
const (
	packagesTime = 10 * time.Minute
	commandTime  = 2 * time.Minute
	handoverTime = 9 * time.Minute // as `ha-agent maintenance` waits at most
	awayTime     = 15 * time.Minute
	daemonTime   = 30 * time.Second
)

// application makes a node contain what a content says.
type application struct {
	Machine
	store    *Store
	to       revision.Content
	gone     []string // paths to remove
	dropped  []revision.Unit
	step     func(string)          // tells what is being done
	maintain func(away bool) error // notes that the node is in maintenance because of it
	// allowNoServers keeps files that leave a backend without servers. On the way back they always stay.
	allowNoServers bool
	// last: all other nodes have the revision on trial. If it parts the nodes, they are in maintenance, and this one must not be.
	last    bool
	within  time.Duration            // how long the node may take to become healthy
	targets func(path string) string // the target that a path belongs to; empty: none
	changed []revision.File          // files that differ from the disk
	kinds   map[string]difference
	effects effects
	away    bool // the node is in maintenance because of this application
}

// run carries the application out.
func (a *application) run(ctx context.Context) error {
	if err := a.plan(); err != nil {
		return err
	}
	parts := []func(context.Context) error{a.software, a.leaveService, a.passive, a.restartAgent, a.files, a.restartServices, a.returnToService, a.prove}
	if a.effects.cold {
		parts = []func(context.Context) error{a.software, a.leaveService, a.stopAgent, a.passive, a.everything, a.restartServices, a.startAgent, a.returnToService, a.prove}
	}
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program, which must end with status 0.
func (a *application) command(ctx context.Context, limit time.Duration, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := a.Run(ctx, name, args...)
	switch {
	case err != nil:
		return err
	case r.TimedOut:
		return fmt.Errorf("cannot run %s %s: no end within %v", name, strings.Join(args, " "), limit)
	case r.Status != 0:
		lines := r.Lines()
		return fmt.Errorf("cannot run %s %s: status %d: %s", name, strings.Join(args, " "), r.Status, strings.Join(lines[max(0, len(lines)-5):], "; "))
	}
	return nil
}

func (a *application) systemctl(ctx context.Context, args ...string) error {
	return a.command(ctx, commandTime, "systemctl", args...)
}

// installScript installs packages as a bake does: nothing that is recommended, and files that are there stay.
const installScript = `set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l UCF_FORCE_CONFFOLD=1
apt() { apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null; }
apt update
apt install --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -- "$@"
`

// software adds what is missing of packages and accounts. An undo leaves it: it is of no harm.
func (a *application) software(ctx context.Context) error {
	missing, err := missingPackages(ctx, a.Run, a.to.Packages)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		a.step("install " + strings.Join(missing, ", "))
		if err := a.command(ctx, packagesTime, "sh", append([]string{"-c", installScript, "sh"}, missing...)...); err != nil {
			return err
		}
	}
	if len(a.to.Hold) > 0 {
		if err := a.command(ctx, commandTime, "apt-mark", append([]string{"hold"}, a.to.Hold...)...); err != nil {
			return err
		}
	}
	for _, u := range a.to.Users {
		if r, err := a.Run(ctx, "getent", "passwd", u.Name); err == nil && r.Status == 0 {
			continue
		}
		if err := a.command(ctx, commandTime, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", u.Home,
			"--shell", "/usr/sbin/nologin", u.Name); err != nil {
			return err
		}
	}
	return nil
}
