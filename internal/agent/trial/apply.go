package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/poll"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/effect"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
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
	within         time.Duration            // how long the node may take to become healthy
	targets        func(path string) string // the target that a path belongs to; empty: none
	changed        []revision.File          // files that differ from the disk
	kinds          map[string]difference
	effects        effects
	away           bool // the node is in maintenance because of this application
}

// plan finds out what differs, and what has to be done about it.
func (a *application) plan() error {
	conf, err := agentConfig(a.to)
	if err != nil {
		return err
	}
	a.targets = targetOf(conf)
	a.kinds = map[string]difference{}
	var files []effect.File
	for _, f := range a.to.Files {
		d, err := differs(f)
		if err != nil {
			return fmt.Errorf("cannot compare %s: %w", f.Path, err)
		}
		if d == same {
			continue
		}
		a.changed = append(a.changed, f)
		a.kinds[f.Path] = d
		if d != otherOwner {
			old, _ := onDisk(f.Path) // one that cannot be read is replaced like one that is not there
			if moved := strings.Replace(f.Path, "/usr/lib/systemd/", "/etc/systemd/", 1); slices.Contains(a.gone, moved) {
				old, _ = onDisk(moved) // it only moves
			}
			files = append(files, effect.File{Path: f.Path, Old: old.Data, New: append([]byte{}, f.Data...)})
		}
	}
	for _, p := range a.gone {
		files = append(files, effect.File{Path: p, Old: []byte{}})
	}
	if other, err := a.otherAgent(); err != nil {
		return err
	} else if other {
		files = append(files, effect.File{Path: wellknown.Agent, Old: []byte("old"), New: []byte("new")})
	}
	a.effects = effectsOf(files, a.targets)
	return nil
}

// otherAgent reports whether the agent's program is to be another one.
func (a *application) otherAgent() (bool, error) {
	if a.to.Agent == "" {
		return false, nil
	}
	now, err := fileDigest(wellknown.Agent)
	if err != nil {
		return false, fmt.Errorf("cannot compare %s: %w", wellknown.Agent, err)
	}
	return now != a.to.Agent, nil
}

// agentConfig is the agent.yaml of a content.
func agentConfig(c revision.Content) (*config.Config, error) {
	f, ok := c.File(wellknown.AgentConfig)
	if !ok {
		return nil, fmt.Errorf("cannot use the revision: it has no %s", wellknown.AgentConfig)
	}
	conf, problems := config.Parse(f.Path, f.Data)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("cannot use the revision's agent.yaml:\n%w", err)
	}
	return conf, nil
}

// targetOf returns which target of the agent a path belongs to, as an agent.yaml says.
func targetOf(conf *config.Config) func(path string) string {
	return func(path string) string {
		switch {
		case path == conf.Sysctl.File:
			return "sysctl"
		case path == conf.Keepalived.Config:
			return "keepalived"
		case path == conf.HAProxy.Config, slices.Contains(conf.HAProxy.Files, path):
			return "haproxy"
		}
		for _, c := range conf.HAProxy.Certificates {
			if c == path || strings.HasSuffix(c, "/") && filepath.Dir(path)+"/" == c {
				return "haproxy"
			}
		}
		return ""
	}
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

// leaveService hands the virtual IPs over if something has to be restarted that serves them.
func (a *application) leaveService(ctx context.Context) error {
	if !a.effects.moves() {
		return nil
	}
	s, err := a.status(ctx)
	if err != nil {
		return err
	}
	if s.Maintenance {
		return nil // the operator's
	}
	a.step("hand the virtual IPs over")
	a.away = true
	if err := a.maintain(true); err != nil {
		return err
	}
	return a.maintenance(ctx, control.MaintenanceRequest{On: true, For: awayTime})
}

func (a *application) maintenance(ctx context.Context, req control.MaintenanceRequest) error {
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	var done control.Maintenance
	if err := a.Ask(ctx, control.Request{Command: "maintenance", Maintenance: &req}, &done); err != nil {
		return err
	}
	if done.Refused != "" {
		return errors.New(done.Refused)
	}
	return nil
}

// write puts a file in its place.
func (a *application) write(f revision.File) error {
	uid, gid, err := owner(f)
	if err != nil {
		return err
	}
	if a.kinds[f.Path] == otherOwner {
		// The bytes stay, so that nobody takes it for another file.
		if err := os.Lchown(f.Path, uid, gid); err != nil {
			return fmt.Errorf("cannot give %s to %s:%s: %w", f.Path, f.Owner, f.Group, err)
		}
		if err := os.Chmod(f.Path, f.Mode); err != nil {
			return fmt.Errorf("cannot set the mode of %s: %w", f.Path, err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("cannot make the directory of %s: %w", f.Path, err)
	}
	return durable.WriteFile(f.Path, f.Data, f.Mode, uid, gid)
}

// passive writes what no daemon of the agent watches, and has it take effect.
func (a *application) passive(ctx context.Context) error {
	a.step("write files")
	for _, u := range a.dropped {
		if r, err := a.Run(ctx, "systemctl", "disable", "--now", "--", u.Name); err != nil || r.Status != 0 {
			return fmt.Errorf("cannot disable %s: %v %s", u.Name, err, strings.Join(r.Lines(), "; "))
		}
	}
	for _, f := range a.changed {
		if a.targets(f.Path) != "" || f.Path == wellknown.AgentConfig {
			continue
		}
		if err := a.write(f); err != nil {
			return err
		}
	}
	for _, p := range a.gone {
		// haproxy and keepalived may still run on others: they go when the new configuration does not name them.
		if !isShipped(p) {
			continue
		}
		if err := durable.Remove(p); err != nil {
			return err
		}
	}
	e := a.effects
	if e.manager {
		if err := a.systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	if e.sysusers {
		if err := a.command(ctx, commandTime, "systemd-sysusers"); err != nil {
			return err
		}
	}
	if e.networkd {
		if err := a.command(ctx, commandTime, "networkctl", "reload"); err != nil {
			return err
		}
	}
	if e.tmpfiles {
		if err := a.command(ctx, commandTime, "systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/hapair.conf"); err != nil {
			return err
		}
	}
	if err := a.units(ctx); err != nil {
		return err
	}
	if _, has := a.to.File(wellknown.FirewallRules); has && e.firewall {
		if err := a.systemctl(ctx, "reload-or-restart", wellknown.FirewallUnit); err != nil {
			return err
		}
	}
	if _, has := a.to.File(wellknown.Certificates); has && e.certificates {
		if err := a.systemctl(ctx, "start", wellknown.CertificatesUnit); err != nil {
			return err
		}
	}
	if e.syslog && !slices.Contains(a.gone, wellknown.SyslogConfig) {
		return a.systemctl(ctx, "restart", "rsyslog.service")
	}
	return nil
}

// units gives units their states. One that is enabled now is started, too.
func (a *application) units(ctx context.Context) error {
	for _, u := range a.to.Units {
		now := unitState(ctx, a.Run, u.Name)
		if now == u.State {
			continue
		}
		var err error
		switch u.State {
		case "enabled":
			err = a.systemctl(ctx, "enable", "--", u.Name)
			if err == nil && u.Name != wellknown.RevisionUnit {
				err = a.systemctl(ctx, "start", "--", u.Name)
			}
		case "disabled":
			err = a.systemctl(ctx, "disable", "--", u.Name)
		case "masked":
			err = a.systemctl(ctx, "mask", "--now", "--", u.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restartAgent has the agent's daemon run on its new program and its new agent.yaml. keepalived keeps its VIPs meanwhile.
func (a *application) restartAgent(ctx context.Context) error {
	if !a.effects.agent {
		return nil
	}
	a.step("restart the agent")
	if err := a.installAgent(); err != nil {
		return err
	}
	if err := a.systemctl(ctx, "restart", wellknown.AgentUnit); err != nil {
		return err
	}
	return a.awaitDaemon(ctx)
}

// installAgent writes the agent's program and agent.yaml.
func (a *application) installAgent() error {
	if other, err := a.otherAgent(); err != nil {
		return err
	} else if other {
		data, err := os.ReadFile(a.store.program(a.to.Agent))
		if err != nil {
			return fmt.Errorf("cannot install the agent: %w", err)
		}
		if err := durable.WriteFile(wellknown.Agent, data, 0o755, 0, 0); err != nil {
			return err
		}
	}
	for _, f := range a.changed {
		if f.Path == wellknown.AgentConfig {
			return a.write(f)
		}
	}
	return nil
}

func (a *application) awaitDaemon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonTime)
	defer cancel()
	return poll.Until(ctx, 100*time.Millisecond, func() (bool, error) {
		_, err := a.status(ctx)
		return err == nil, err
	})
}

// stopAgent stops the agent's daemon. The node is in maintenance, which keeps it without VIPs.
func (a *application) stopAgent(ctx context.Context) error {
	return a.systemctl(ctx, "stop", wellknown.AgentUnit)
}

// startAgent starts the daemon on files that are all in their places. It takes those of keepalived over.
func (a *application) startAgent(ctx context.Context) error {
	if err := a.systemctl(ctx, "start", wellknown.AgentUnit); err != nil {
		return err
	}
	return a.awaitDaemon(ctx)
}

// everything writes and removes what passive has left, while the daemon is stopped.
func (a *application) everything(context.Context) error {
	if err := a.installAgent(); err != nil {
		return err
	}
	for _, f := range a.changed {
		if a.targets(f.Path) == "" {
			continue
		}
		if err := a.write(f); err != nil {
			return err
		}
	}
	for _, p := range a.gone {
		if err := durable.Remove(p); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) status(ctx context.Context) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var s control.Status
	err := a.Ask(ctx, control.Request{Command: "status"}, &s)
	return s, err
}

// files has the agent's daemon take over the files of its targets as one change, which it proves or takes back.
func (a *application) files(ctx context.Context) error {
	req := control.ApplyRequest{AllowNoServers: a.allowNoServers}
	for _, f := range a.changed {
		if a.targets(f.Path) != "" && a.kinds[f.Path] != otherOwner {
			req.Files = append(req.Files, control.ApplyFile{Path: f.Path, Mode: f.Mode, Data: f.Data})
		}
	}
	if len(req.Files) > 0 {
		a.step("take over " + strings.Join(a.effects.reload, ", "))
		for _, f := range req.Files {
			if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
				return fmt.Errorf("cannot make the directory of %s: %w", f.Path, err)
			}
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		var done control.Applied
		if err := a.Ask(ctx, control.Request{Command: "apply", Apply: &req}, &done); err != nil {
			return err
		}
		switch c := done.Change; {
		case done.Refused != "":
			return errors.New(done.Refused)
		case c != nil && c.Verdict != journal.Proven:
			return fmt.Errorf("change %d of %s was %s: %s", c.Number, strings.Join(c.Targets, ", "), c.Verdict, c.Reason)
		}
	}
	for _, f := range a.changed {
		if a.targets(f.Path) == "" {
			continue
		}
		// The daemon keeps the owner and the mode of the file that it replaces.
		a.kinds[f.Path] = otherOwner
		if err := a.write(f); err != nil {
			return err
		}
	}
	for _, p := range a.gone {
		if err := durable.Remove(p); err != nil {
			return err
		}
	}
	return nil
}

// restartServices restarts what a reload cannot replace. The node holds no virtual IP now.
func (a *application) restartServices(ctx context.Context) error {
	e := a.effects
	for _, u := range []struct {
		is   bool
		name string
	}{{e.haproxy, wellknown.HAProxyUnit}, {e.keepalived, wellknown.KeepalivedUnit}} {
		if !u.is {
			continue
		}
		a.step("restart " + u.name)
		if err := a.systemctl(ctx, "restart", u.name); err != nil {
			return err
		}
	}
	return nil
}

// returnToService ends the maintenance that the application began.
func (a *application) returnToService(ctx context.Context) error {
	if !a.away {
		return nil
	}
	return a.comeBack(ctx)
}

// comeBack ends a maintenance that has an end. One of the operator's without an end stays.
func (a *application) comeBack(ctx context.Context) error {
	s, err := a.status(ctx)
	if err != nil {
		return err
	}
	if s.Maintenance && !s.MaintenanceUntil.IsZero() {
		a.step("come back into service")
		if err := a.maintenance(ctx, control.MaintenanceRequest{}); err != nil {
			return err
		}
	}
	return a.maintain(false)
}

// prove waits until the node is healthy on exactly these files.
func (a *application) prove(ctx context.Context) error {
	a.step("prove")
	ctx, cancel := context.WithTimeout(ctx, a.within)
	defer cancel()
	err := poll.Until(ctx, 200*time.Millisecond, func() (bool, error) {
		s, err := a.status(ctx)
		if err != nil {
			return false, err
		}
		s.Revision = nil // that this trial has not ended is no reason not to end it
		s.Judge(time.Now())
		if !s.Healthy {
			return false, fmt.Errorf("the node is not healthy: %s", strings.Join(s.Problems, "; "))
		}
		for _, in := range s.Instances {
			if in.State == control.Unknown && !s.Maintenance {
				return false, fmt.Errorf("keepalived has not reported the state of %s", in.Name)
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, f := range a.to.Files {
		if d, err := differs(f); err != nil || d != same && !isTrials(f.Path) {
			return fmt.Errorf("%s is not as in the revision: something else has changed it meanwhile (%v)", f.Path, err)
		}
	}
	return nil
}
