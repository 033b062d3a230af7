package status

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/agent/vrrp"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

type units struct{ unit systemd.Unit }

func (u units) Reload(context.Context, string) error                  { return errors.New("not asked for") }
func (u units) Restart(context.Context, string) error                 { return errors.New("not asked for") }
func (u units) Service(context.Context, string) (systemd.Unit, error) { return u.unit, nil }

// newObserver returns an Observer of a node whose files are in a directory of the test.
func newObserver(t *testing.T) (*Observer, *config.Config) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	conf := &config.Config{
		HAProxy:    config.HAProxy{Unit: "haproxy.service", Config: filepath.Join(dir, "haproxy.cfg"), CheckSocket: filepath.Join(dir, "check.sock")},
		Keepalived: config.Keepalived{Unit: "keepalived.service", Config: filepath.Join(dir, "keepalived.conf")},
		Sysctl:     config.Sysctl{File: filepath.Join(dir, "60-hapair.conf")},
		VIPs:       []config.VIP{{Name: "public", Interface: "eth9", Instances: []string{"VI_public"}}},
	}
	u := units{systemd.Unit{Active: "active", MainPID: 7, StartedSinceBoot: time.Second}}
	run := func(context.Context, string, ...string) (validator.Result, error) {
		return validator.Result{Output: "Keepalived v2.2.8 (04/04,2023)\n"}, nil
	}
	targets := target.Node{Conf: conf, ProcSys: "/proc/sys", Store: s, Run: run, Units: u}.Targets()
	return &Observer{Conf: conf, Mark: filepath.Join(dir, "maintenance"), Store: s, Targets: targets, Units: u, Run: run, Version: "1"}, conf
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreComparedWithTheLastKnownGoodOnes(t *testing.T) {
	o, conf := newObserver(t)
	path := conf.HAProxy.Config
	haproxy := func() control.Target {
		for _, ct := range o.Observe(t.Context()).Targets {
			if ct.Name == "haproxy" {
				return ct
			}
		}
		t.Fatal("the status has no target haproxy")
		return control.Target{}
	}
	want := func(state string, drift bool) {
		t.Helper()
		if ct := haproxy(); ct.Active != "active" || ct.Drift != drift || ct.Files[0].Path != path || ct.Files[0].State != state {
			t.Errorf("files %+v, want the state %s", ct, state)
		}
	}
	want("missing", false)
	save(t, path, "one")
	want("unproven", false)
	now, err := target.Read([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Store.Commit(map[string]store.Good{"haproxy": {Generation: 3, Time: time.Now(), Files: now.Files}}); err != nil {
		t.Fatal(err)
	}
	want("good", false)
	save(t, path, "two")
	want("drift", true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("missing", true)
}

// Without the daemon, values that only it has must be omitted.
func TestWithAndWithoutTheDaemon(t *testing.T) {
	o, _ := newObserver(t)
	if err := o.Store.Append(journal.Change{Number: 4, Verdict: journal.RolledBack}); err != nil {
		t.Fatal(err)
	}
	s := o.Observe(t.Context())
	if len(s.Instances) != 1 || s.Instances[0].State != control.Unknown || s.Instances[0].Why != "only the daemon receives the states of keepalived" || s.Daemon.Running {
		t.Errorf("without the daemon: %+v, %+v", s.Instances, s.Daemon)
	}
	if s.Versions.Keepalived != "2.2.8" || s.HAProxy.Why == "" || s.LastChange.Number != 4 {
		t.Errorf("the status is %+v", s)
	}
	last := &journal.Change{Number: 3, Verdict: journal.Proven}
	var panics contain.Panics
	panics.Guard("a part", func() { panic("for the test") })
	o.Daemon = &Daemon{PID: 9, Panics: &panics, LastChange: func() *journal.Change { return last },
		Others:   func(vip.Held) ([]string, error) { return nil, nil },
		OnChange: func(string) *control.OnChange { return nil },
		Instances: func() map[string]vrrp.Instance {
			return map[string]vrrp.Instance{"VI_public": {Name: "VI_public", State: keepalived.Backup, Priority: 100, SinceBoot: time.Minute}}
		}}
	s = o.Observe(t.Context())
	if !s.Daemon.Running || s.Daemon.PID != 9 || len(s.Daemon.Panics) != 1 || len(s.Instances) != 1 || s.Instances[0].State != "BACKUP" || s.Instances[0].Why != "" {
		t.Errorf("with the daemon: %+v, %+v", s.Daemon, s.Instances)
	}
	if s.LastChange.Number != 4 { // a guard has added a change after the daemon's
		t.Errorf("the last change is %+v, want the guard's", s.LastChange)
	}
	if last = (&journal.Change{Number: 5, Verdict: journal.Failed}); o.Observe(t.Context()).LastChange.Number != 5 {
		t.Error("the last change is not the daemon's, which could not be recorded yet")
	}
}
