package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hapair/hapair/internal/agent/change"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/target"
)

// applyJob is an apply that waits for the loop.
type applyJob struct {
	files          []change.File
	allowNoServers bool
	done           chan<- applyDone
}

type applyDone struct {
	change.Applied
	err error
}

// answerApply hands an apply to the loop and waits for its result.
func (d *Daemon) answerApply(ctx context.Context, req control.ApplyRequest) (any, error) {
	if len(req.Files) == 0 {
		return nil, errors.New("cannot apply: there are no files")
	}
	for i, f := range req.Files {
		if filepath.Clean(f.Path) != f.Path || !filepath.IsAbs(f.Path) {
			return nil, fmt.Errorf("cannot apply: %q is not an absolute path", f.Path)
		}
		if slices.ContainsFunc(req.Files[:i], func(o control.ApplyFile) bool { return o.Path == f.Path && !bytes.Equal(o.Data, f.Data) }) {
			return nil, fmt.Errorf("cannot apply: %s occurs twice", f.Path)
		}
	}
	var files []change.File
	for _, f := range req.Files {
		files = append(files, change.File(f))
	}
	done := make(chan applyDone, 1)
	select {
	case d.applies <- applyJob{files, req.AllowNoServers, done}:
	case <-ctx.Done():
		return nil, change.ErrEnds
	}
	select {
	case a := <-done:
		if a.err != nil {
			return nil, a.err
		}
		return control.Applied(a.Applied), nil
	case <-ctx.Done():
		return nil, change.ErrEnds
	}
}

// apply carries out a job outside the loop.
func (d *Daemon) apply(ctx context.Context, job applyJob) error {
	var applied change.Applied
	if job.allowNoServers {
		ctx = target.AllowNoServers(ctx)
	}
	err := d.panics.Contain("an apply", func() (err error) {
		applied, err = d.changer.Apply(ctx, job.files)
		return err
	})
	if applied.Change != nil {
		d.keepLast(*applied.Change)
	}
	job.done <- applyDone{applied, err}
	return err
}

// keepLast stores the last change for the status.
func (d *Daemon) keepLast(ch journal.Change) {
	d.mu.Lock()
	d.last = &ch
	d.mu.Unlock()
	d.Notify.Status(fmt.Sprintf("change %d %s", ch.Number, ch.Verdict))
}
