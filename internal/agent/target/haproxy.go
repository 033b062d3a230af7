package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/validator"
)

// proofTime is the time limit for a service to prove that it runs on its new files.
const proofTime = 15 * time.Second

// checkTime is the time limit for haproxy's answer to the check.
const checkTime = 500 * time.Millisecond

// HAProxy is haproxy.cfg with its certificates, and the file with hapair's sockets if it exists.
type HAProxy struct {
	conf  config.HAProxy
	units Units
	run   validator.Runner
	runs  func() (r haproxyRuns, known bool) // what haproxy ran on before a change; nil: unknown
}

func (t *HAProxy) Name() string { return "haproxy" }
func (t *HAProxy) Unit() string { return t.conf.Unit }

func (t *HAProxy) Paths() []string {
	all := haproxy.Files(t.conf.Config)
	for _, path := range t.conf.Certificates {
		all = append(all, certificateFiles(path)...)
	}
	return append(all, t.conf.Files...)
}

// certificateFiles returns the files that haproxy reads for a path: the path itself, or the files of a directory whose names do
// not begin with a dot (configuration.txt, crt).
func certificateFiles(path string) []string {
	if !strings.HasSuffix(path, "/") {
		return []string{path}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil // haproxy reports what is wrong with it
	}
	var files []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files
}

func (t *HAProxy) Validate(ctx context.Context) validator.Answer {
	a := haproxy.Test(ctx, t.run, haproxy.Files(t.conf.Config)...)
	conf, err := haproxy.Read(t.conf.Config)
	if a.Verdict != validator.Good {
		return a
	}
	if err != nil {
		return validator.Answer{Messages: []string{err.Error()}}
	}
	if t.conf.CheckSocket != "" {
		if err := haproxy.CheckSocketError(conf, t.conf.CheckSocket); err != nil {
			return Bad("%v", err)
		}
	}
	if err := bindable(conf); err != nil {
		return Bad("%v", err)
	}
	return a
}

func (t *HAProxy) Ready(ctx context.Context) error {
	_, err := running(ctx, t.units, t.conf.Unit)
	return err
}

func (t *HAProxy) master() haproxy.Socket { return haproxy.Socket(t.conf.MasterSocket) }

func (t *HAProxy) Take(ctx context.Context, changed time.Time) error {
	u, err := running(ctx, t.units, t.conf.Unit)
	if err != nil {
		return err
	}
	before, err := t.procs(ctx)
	if err != nil {
		return err
	}
	// After a failed reload the worker still runs on older files, even if the master was started after the newest change.
	if startedOn(u, changed) && before.Failed <= 0 && before.Reloads == 0 {
		return t.proveWorker(ctx, before)
	}
	ran, known := t.ran()
	meant := t.meant(ctx, before, ran, known)
	if err := t.units.Reload(ctx, t.conf.Unit); err != nil {
		return err
	}
	if err := t.proveReload(ctx, before); err != nil {
		return err
	}
	if err := t.proveCertificates(ctx, ran); err != nil {
		return err
	}
	return meant.prove(ctx)
}

// ran returns what haproxy ran on before a change.
func (t *HAProxy) ran() (r haproxyRuns, known bool) {
	if t.runs == nil {
		return r, false
	}
	return t.runs()
}

// procs asks the master until it answers. While it executes itself again, its socket refuses connections.
func (t *HAProxy) procs(ctx context.Context) (procs haproxy.Procs, err error) {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	err = poll.Until(ctx, 10*time.Millisecond, func() (bool, error) {
		procs, err = t.master().ShowProc(ctx)
		return err == nil, err
	})
	return procs, err
}

// proveReload waits until a new worker serves. The end of systemd's reload job is not a proof, because the master keeps the old
// worker if the new one fails.
func (t *HAProxy) proveReload(ctx context.Context, before haproxy.Procs) error {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	return poll.Until(ctx, 10*time.Millisecond, func() (bool, error) {
		now, err := t.master().ShowProc(ctx)
		if err != nil {
			// A master ends if its new worker ends during the start (exit-on-failure), and ends its old worker too.
			if _, why := running(ctx, t.units, t.conf.Unit); errors.Is(why, ErrFailing) {
				return true, t.refused(ctx)
			}
			return false, err
		}
		if now.Master == before.Master && now.Reloads <= before.Reloads {
			return false, errors.New("haproxy's master has not reloaded")
		}
		w, ok := now.Worker()
		if ok && !known(before, w.PID) {
			if err := t.proveWorker(ctx, now); err != nil {
				return false, err
			}
			return true, nil
		}
		// The reload has been counted. If haproxy counts failures, it is one of them. haproxy 2.4 does not count failures, but
		// has no current worker after one.
		if now.Failed > 0 || !ok {
			return true, t.refused(ctx)
		}
		return false, errors.New("haproxy's new worker has not started")
	})
}

// proveWorker asks the worker itself, because a worker that was only just forked does not answer yet.
func (t *HAProxy) proveWorker(ctx context.Context, p haproxy.Procs) error {
	w, ok := p.Worker()
	if !ok {
		return errors.New("haproxy has no worker")
	}
	info, err := t.master().WorkerInfo(ctx, w.PID)
	if err != nil {
		return err
	}
	if info.PID != w.PID || info.Stopping {
		return fmt.Errorf("haproxy's worker %d does not serve", w.PID)
	}
	return t.proveCheck(ctx)
}

// proveCheck returns the reason why `ha-agent check` would fail, or nil. It accepts a socket that does not answer in time:
// other clients may use all its connections, and another configuration would not help.
func (t *HAProxy) proveCheck(ctx context.Context) error {
	if t.conf.CheckSocket == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if _, err := haproxy.Socket(t.conf.CheckSocket).ShowInfo(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the check would fail: %w", err)
	}
	return nil
}

// known reports whether a process was one of haproxy's workers.
func known(p haproxy.Procs, pid int) bool {
	for _, w := range append(p.Workers, p.OldWorkers...) {
		if w.PID == pid {
			return true
		}
	}
	return false
}

// refused returns haproxy's own messages about the files, if it keeps them.
func (t *HAProxy) refused(ctx context.Context) error {
	logs, err := t.master().StartupLogs(ctx)
	if err == nil {
		for line := range strings.Lines(logs) {
			if strings.Contains(line, "[ALERT]") {
				conf, _ := haproxy.Read(t.conf.Config)
				return fmt.Errorf("haproxy could not start a worker on it: %s", redact.NewConfig([]byte(conf)).Message(line))
			}
		}
	}
	return fmt.Errorf("haproxy could not start a worker on it: `journalctl -u %s` shows why", t.conf.Unit)
}
