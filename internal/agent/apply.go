package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/durable"
)

// apply takes a set of files over as one change. Where the change does not come to be proven, none of the files stays. An
// error says that nothing was judged, and nothing changed.
func (c *changer) apply(ctx context.Context, files []control.ApplyFile) (control.Applied, error) {
	since := c.now()
	if refused := c.foreign(files); refused != "" {
		return control.Applied{Refused: refused}, nil
	}
	files = slices.SortedFunc(slices.Values(files), func(a, b control.ApplyFile) int { return strings.Compare(a.Path, b.Path) })
	st, err := c.stage(files)
	if err != nil {
		return control.Applied{}, err
	}
	forget := c.lookAnew(files)
	var ch *control.Change
	err = c.panics.Contain("an apply", func() (err error) {
		ch, err = c.applyStaged(ctx, st, files, since)
		return err
	})
	if err == nil && (ch == nil || ch.Verdict == control.Proven) {
		return control.Applied{Unchanged: ch == nil, Change: ch}, c.store.Unstage()
	}
	if ctx.Err() != nil {
		return control.Applied{}, errEnds // the next start takes the files back
	}
	if back := c.putBack(st); back != nil {
		return control.Applied{}, errors.Join(err, back)
	}
	forget()
	return control.Applied{Change: ch}, errors.Join(err, c.store.Unstage())
}

// applyStaged puts the files in their places and carries out the change that they make; nil where they make none.
func (c *changer) applyStaged(ctx context.Context, st store.Staged, files []control.ApplyFile, since time.Time) (*control.Change, error) {
	c.step("staged")
	for i, f := range st.Files {
		if f.Was && f.Digest == f.New {
			continue
		}
		if f.Was && !c.isGood(f.Path, f.Digest) {
			aside, err := target.SetAside(f.Path, c.now(), fmt.Sprintf("change-%d-replaced", st.Number))
			if err != nil {
				return nil, err
			}
			c.log.Warn("set a file aside", "file", f.Path, "as", aside)
		}
		if err := durable.WriteFile(f.Path, files[i].Data, f.Mode, f.UID, f.GID); err != nil {
			return nil, err
		}
		c.step("put " + filepath.Base(f.Path))
	}
	changed, err := c.look()
	if err != nil || len(changed) == 0 {
		return nil, err
	}
	ch, err := c.change(ctx, changed, since)
	if err != nil {
		return nil, err
	}
	return &ch, nil
}

// foreign tells which files no target has.
func (c *changer) foreign(files []control.ApplyFile) string {
	known := map[string]bool{}
	for _, t := range c.targets {
		for _, p := range t.Paths() {
			known[p] = true
		}
	}
	var foreign []string
	for _, f := range files {
		if !known[f.Path] {
			foreign = append(foreign, f.Path)
		}
	}
	if len(foreign) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: of no target of this node's agent.yaml; nothing was changed", strings.Join(foreign, ", "))
}

// lookAnew has files judged even if the same bytes were refused before. What it returns forgets that verdict: what lies
// there then had its own before.
func (c *changer) lookAnew(files []control.ApplyFile) (forget func()) {
	var touched []string
	for _, t := range c.targets {
		paths := t.Paths()
		if slices.ContainsFunc(files, func(f control.ApplyFile) bool { return slices.Contains(paths, f.Path) }) {
			touched = append(touched, t.Name())
		}
	}
	judged, waits := maps.Clone(c.judged), maps.Clone(c.waits)
	for _, name := range touched {
		delete(c.judged, name)
		delete(c.told, name)
	}
	return func() {
		for _, name := range touched {
			delete(c.waits, name)
			if digest, ok := waits[name]; ok {
				c.waits[name] = digest
			}
			delete(c.judged, name)
			if digest, ok := judged[name]; ok && c.runs[name] != unproven {
				c.judged[name] = digest
			}
		}
	}
}

// stage writes down what is about to be replaced.
func (c *changer) stage(files []control.ApplyFile) (store.Staged, error) {
	st := store.Staged{Number: c.next()}
	for _, f := range files {
		was, _, err := target.ReadFile(f.Path)
		sf := store.StagedFile{Path: f.Path, New: store.Digest(f.Data), Was: true,
			Digest: was.Digest, Mode: was.Mode, UID: was.UID, GID: was.GID, Data: was.Data}
		if errors.Is(err, fs.ErrNotExist) {
			sf.Was, sf.Mode = false, f.Mode.Perm()
			sf.UID, sf.GID, err = ownerOf(filepath.Dir(f.Path))
		}
		if err != nil {
			return st, err
		}
		st.Files = append(st.Files, sf)
	}
	return st, c.store.Stage(st)
}

// ownerOf is whom a new file in a directory belongs to.
func ownerOf(dir string) (uid, gid int, err error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot put a file there: %w", err)
	}
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), int(s.Gid), nil
	}
	return durable.Keep, durable.Keep, nil
}

// applyJob is an apply that waits for its turn in the loop.
type applyJob struct {
	files []control.ApplyFile
	done  chan<- applyDone
}

type applyDone struct {
	control.Applied
	err error
}

// answerApply hands an apply to the loop and waits for what becomes of it.
func (d *Daemon) answerApply(ctx context.Context, req control.ApplyRequest) (any, error) {
	if len(req.Files) == 0 {
		return nil, errors.New("cannot apply: there are no files")
	}
	for i, f := range req.Files {
		if filepath.Clean(f.Path) != f.Path || !filepath.IsAbs(f.Path) {
			return nil, fmt.Errorf("cannot apply: %q is no absolute path", f.Path)
		}
		if slices.ContainsFunc(req.Files[:i], func(o control.ApplyFile) bool { return o.Path == f.Path && !bytes.Equal(o.Data, f.Data) }) {
			return nil, fmt.Errorf("cannot apply: %s is there twice", f.Path)
		}
	}
	done := make(chan applyDone, 1)
	select {
	case d.applies <- applyJob{req.Files, done}:
	case <-ctx.Done():
		return nil, errEnds
	}
	select {
	case a := <-done:
		if a.err != nil {
			return nil, a.err
		}
		return a.Applied, nil
	case <-ctx.Done():
		return nil, errEnds
	}
}

// apply carries out a job beside the loop.
func (d *Daemon) apply(ctx context.Context, job applyJob) error {
	var applied control.Applied
	err := d.panics.Contain("an apply", func() (err error) {
		applied, err = d.changer.apply(ctx, job.files)
		return err
	})
	if applied.Change != nil {
		d.keepLast(*applied.Change)
	}
	job.done <- applyDone{applied, err}
	return err
}

// keepLast remembers the last change for the status.
func (d *Daemon) keepLast(ch control.Change) {
	d.mu.Lock()
	d.last = &ch
	d.mu.Unlock()
	d.Notify.Status(fmt.Sprintf("change %d %s", ch.Number, ch.Verdict))
}
