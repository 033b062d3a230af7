package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/durable"
)

// File is a file to apply. If it replaces a file, it gets that file's owner and mode.
type File struct {
	Path string
	Mode fs.FileMode // if it replaces no file
	Data []byte
}

// Applied is the result of an Apply.
type Applied struct {
	Unchanged bool            // the services already run on these files
	Refused   string          // the reason why nothing was tested
	Change    *journal.Change // nil: there was no change
}

// Apply installs a set of files as one change. If the change is not proven, all of the files are removed again. An error means
// that nothing was tested and nothing changed.
func (c *Changer) Apply(ctx context.Context, files []File) (Applied, error) {
	since := c.now()
	if refused := c.foreign(files); refused != "" {
		return Applied{Refused: refused}, nil
	}
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	st, err := c.stage(files)
	if err != nil {
		return Applied{}, err
	}
	forget := c.lookAnew(files)
	var ch *journal.Change
	err = c.panics.Contain("an apply", func() (err error) {
		ch, err = c.applyStaged(ctx, st, files, since)
		return err
	})
	if err == nil && (ch == nil || ch.Verdict == journal.Proven) {
		return Applied{Unchanged: ch == nil, Change: ch}, c.store.Unstage()
	}
	if ctx.Err() != nil {
		return Applied{}, ErrEnds // the next start removes the files again
	}
	if back := c.putBack(st); back != nil {
		return Applied{}, errors.Join(err, back)
	}
	forget()
	return Applied{Change: ch}, errors.Join(err, c.store.Unstage())
}

// applyStaged installs the files and carries out the change that results; nil if nothing differs.
func (c *Changer) applyStaged(ctx context.Context, st store.Staged, files []File, since time.Time) (*journal.Change, error) {
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
	ch, err := c.change(ctx, changed, nil, since)
	if err != nil {
		return nil, err
	}
	return &ch, nil
}

// foreign returns the files that belong to no target.
func (c *Changer) foreign(files []File) string {
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
	return fmt.Sprintf("%s: not a file of a target in this node's agent.yaml; nothing was changed", strings.Join(foreign, ", "))
}

// lookAnew makes the next round test the files even if the same files were refused before. The function that it returns undoes
// that, because the previous files have their own verdict.
func (c *Changer) lookAnew(files []File) (forget func()) {
	var undo []func()
	for _, t := range c.targets {
		paths := t.Paths()
		if slices.ContainsFunc(files, func(f File) bool { return slices.Contains(paths, f.Path) }) {
			undo = append(undo, t.lookAnew())
		}
	}
	return func() {
		for _, f := range undo {
			f()
		}
	}
}

// stage saves the files that are about to be replaced.
func (c *Changer) stage(files []File) (store.Staged, error) {
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

// ownerOf returns the owner of a new file in a directory.
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
