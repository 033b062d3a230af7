// Package upgrade lists and installs newer versions of haproxy and keepalived. Unattended upgrades leave them alone, because
// both nodes would restart them at the same time.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/validator"
)

// Packages are those that are upgraded one node after the other.
var Packages = []string{"haproxy", "keepalived"}

// Limits of single steps.
const (
	updateTime   = 3 * time.Minute
	installTime  = 10 * time.Minute
	handoverTime = 9 * time.Minute // as `ha-agent maintenance` waits at most
	healthyTime  = time.Minute
)

// Upgrade is a newer version of an installed package.
type Upgrade struct {
	Package  string `json:"package"`
	From     string `json:"from"`
	To       string `json:"to"`
	Security bool   `json:"security"` // the archive of security updates has it
}

// Done is the result of an upgrade.
type Done struct {
	Upgrades []Upgrade `json:"upgrades"`          // what was installed; empty if there was nothing to do
	Refused  string    `json:"refused,omitempty"` // why nothing was done, or why the node was left in maintenance
}

// Machine is what an upgrade needs of this machine.
type Machine struct {
	Run validator.Runner
	Ask func(ctx context.Context, req control.Request, result any) error // asks the agent's daemon
	// Step is called with each step.
	Step func(string)
}

// List fetches the lists of packages, and returns what can be upgraded.
func (m *Machine) List(ctx context.Context) ([]Upgrade, error) {
	if err := m.command(ctx, updateTime, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3", "update"); err != nil {
		return nil, err
	}
	r, err := m.Run(ctx, "apt-cache", append([]string{"policy"}, Packages...)...)
	if err != nil {
		return nil, err
	}
	if r.Status != 0 {
		return nil, fmt.Errorf("cannot list the packages: apt-cache policy: status %d", r.Status)
	}
	return parsePolicy(r.Output), nil
}

// parsePolicy reads the output of `apt-cache policy` (apt-cache(8)).
func parsePolicy(output string) []Upgrade {
	var all []Upgrade
	var u Upgrade
	version := "" // of the table's entry whose sources follow
	flush := func() {
		if u.From != "" && u.From != "(none)" && u.To != "(none)" && u.To != u.From {
			all = append(all, u)
		}
	}
	for line := range strings.Lines(output) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case !strings.HasPrefix(line, " ") && strings.HasSuffix(f[0], ":"):
			flush()
			u, version = Upgrade{Package: strings.TrimSuffix(f[0], ":")}, ""
		case f[0] == "Installed:" && len(f) > 1:
			u.From = f[1]
		case f[0] == "Candidate:" && len(f) > 1:
			u.To = f[1]
		case strings.HasPrefix(line, "     ") && !strings.HasPrefix(line, "        "), f[0] == "***":
			if f[0] == "***" {
				f = f[1:]
			}
			if len(f) > 0 {
				version = f[0]
			}
		case version == u.To && strings.Contains(line, "-security"):
			u.Security = true
		}
	}
	flush()
	return all
}

// Upgrade hands the VIPs over, installs newer versions, waits until the node is healthy, and makes it available again. It
// installs security updates; with all, other updates too. If the node does not become healthy, it stays in maintenance.
func (m *Machine) Upgrade(ctx context.Context, all bool) (Done, error) {
	var done Done
	found, err := m.List(ctx)
	if err != nil {
		return done, err
	}
	var names []string
	for _, u := range found {
		if all || u.Security {
			done.Upgrades = append(done.Upgrades, u)
			names = append(names, u.Package+"="+u.To)
		}
	}
	if len(names) == 0 {
		return done, nil
	}
	before, err := m.status(ctx)
	if err != nil {
		return Done{}, err
	}
	if !before.Healthy {
		return Done{Refused: "the node is not healthy: " + strings.Join(before.Problems, "; ")}, nil
	}
	if !before.Maintenance {
		m.Step("hand the virtual IPs over")
		if refused, err := m.maintenance(ctx, true); err != nil || refused != "" {
			return Done{Refused: refused}, err
		}
	}
	m.Step("install " + strings.Join(names, ", "))
	if err := m.command(ctx, installTime, "env", append([]string{"DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "UCF_FORCE_CONFFOLD=1",
		"apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3", "-o", "Dpkg::Use-Pty=0",
		"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
		"install", "--only-upgrade", "--no-install-recommends", "--allow-change-held-packages", "--"}, names...)...); err != nil {
		return done, fmt.Errorf("%w; the node stays in maintenance", err)
	}
	// apt forgets that a package was held when it upgrades it.
	if err := m.command(ctx, updateTime, "apt-mark", append([]string{"hold"}, Packages...)...); err != nil {
		return done, fmt.Errorf("%w; the node stays in maintenance", err)
	}
	m.Step("wait until the node is healthy")
	if err := m.healthy(ctx); err != nil {
		done.Refused = fmt.Sprintf("the packages were upgraded, but the node is not healthy, and stays in maintenance: %v", err)
		return done, nil
	}
	if before.Maintenance {
		return done, nil // the operator's
	}
	if _, err := m.maintenance(ctx, false); err != nil {
		return done, err
	}
	m.Step("wait until the node may hold the virtual IPs")
	if err := m.available(ctx); err != nil {
		done.Refused = fmt.Sprintf("the packages were upgraded, but the node may not hold the virtual IPs: %v", err)
	}
	return done, nil
}

func (m *Machine) status(ctx context.Context) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var s control.Status
	err := m.Ask(ctx, control.Request{Command: "status"}, &s)
	s.Judge(time.Now())
	return s, err
}

// healthy waits until the node is healthy.
func (m *Machine) healthy(ctx context.Context) error {
	return m.until(ctx, func(s control.Status) error {
		if !s.Healthy {
			return errors.New(strings.Join(s.Problems, "; "))
		}
		return nil
	})
}

// available waits until no instance of keepalived is in state FAULT.
func (m *Machine) available(ctx context.Context) error {
	return m.until(ctx, func(s control.Status) error {
		for _, in := range s.Instances {
			if in.State == string(keepalived.Fault) {
				return fmt.Errorf("%s is in state %s: `journalctl -u keepalived` has the reason", in.Name, in.State)
			}
		}
		return nil
	})
}

// until waits until check accepts the node's status, and otherwise returns its last error.
func (m *Machine) until(ctx context.Context, check func(control.Status) error) error {
	ctx, cancel := context.WithTimeout(ctx, healthyTime)
	defer cancel()
	return poll.Until(ctx, 500*time.Millisecond, func() (bool, error) {
		s, err := m.status(ctx)
		if err == nil {
			err = check(s)
		}
		return err == nil, err
	})
}

func (m *Machine) maintenance(ctx context.Context, on bool) (refused string, err error) {
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	var done control.Maintenance
	err = m.Ask(ctx, control.Request{Command: "maintenance", Maintenance: &control.MaintenanceRequest{On: on}}, &done)
	return done.Refused, err
}

// command runs a program, which must exit with status 0.
func (m *Machine) command(ctx context.Context, limit time.Duration, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := m.Run(ctx, name, args...)
	switch {
	case err != nil:
		return err
	case r.TimedOut:
		return fmt.Errorf("cannot run %s: no end within %v", name, limit)
	case r.Status != 0:
		lines := r.Lines()
		return fmt.Errorf("cannot run %s: status %d: %s", name, r.Status, strings.Join(lines[max(0, len(lines)-5):], "; "))
	}
	return nil
}
