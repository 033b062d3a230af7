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

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// write puts a file in its place.
func (a *application) write(f revision.File) error {
	uid, gid, err := owner(f)
	if err != nil {
		return err
	}
	if a.kinds[f.Path] == otherOwner {
		// The file is not written again, so that its watchers do not take it for a new one.
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

// passive writes what no daemon of the agent watches, removes what is no longer needed, and has both take effect.
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
	return a.takeEffect(ctx)
}

// takeEffect has systemd and the services read the files again that no daemon of the agent watches.
func (a *application) takeEffect(ctx context.Context) error {
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

// everything writes and removes what passive has left, while the daemon is stopped.
func (a *application) everything(context.Context) error {
	if err := a.installAgent(); err != nil {
		return err
	}
	return a.targetFiles()
}

// targetFiles writes the files of the targets, and removes all files that the content no longer has.
func (a *application) targetFiles() error {
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
		if a.targets(f.Path) != "" {
			a.kinds[f.Path] = otherOwner // the daemon keeps the owner and the mode of the file that it replaces
		}
	}
	return a.targetFiles()
}
